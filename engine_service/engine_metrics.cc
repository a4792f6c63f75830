#include "engine_service/engine_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <map>

#include "common/mutex.h"

namespace vallm::engine {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;
using Labels = std::map<std::string, std::string>;

const Buckets kFirstTokenSeconds = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,  .75,
                                    1,    2.5,  5,   7.5, 10,  20,  40,  80, 160, 640, 2560};
const Buckets kPerTokenSeconds = {.001, .002, .004, .006, .008, .01, .025, .05, .075, .1, .15, .2,
                                  .3,   .4,   .5,   .75,  1,    2.5, 5,    7.5, 10,   20, 40,  80};
const Buckets kRequestSeconds = {.3, .5, .8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};
const Buckets kTokens = {1,   2,    5,    10,   20,    50,    100,   200,
                         500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

const Buckets kChoices = {1, 2, 5, 10, 20};
const Buckets kIterationTokens = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
const Buckets kPhaseSeconds = {.00001, .00002, .00005, .0001, .0002, .0003, .0005, .001, .002,
                               .005,   .01,    .02,    .05,   .1,    .2,    .5,    1,    5};

prometheus::Gauge& Gauge(prometheus::Registry& registry, const Labels& labels, const char* name,
                         const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels);
}
prometheus::Counter& Counter(prometheus::Registry& registry, const Labels& labels, const char* name,
                             const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels);
}
prometheus::Histogram& Histogram(prometheus::Registry& registry, const Labels& labels,
                                 const char* name, const char* help, const Buckets& buckets) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(labels, buckets);
}

// A counter that follows a total which something else keeps.
class FollowingCounter {
 public:
  explicit FollowingCounter(prometheus::Counter& counter) : counter_(counter) {}
  void Follow(int64_t total) {
    if (total <= total_) return;
    counter_.Increment(static_cast<double>(total - total_));
    total_ = total;
  }

 private:
  prometheus::Counter& counter_;
  int64_t total_ = 0;
};

const char* ReasonName(const Completion& completion) {
  if (!completion.status.ok()) return absl::IsCancelled(completion.status) ? "abort" : "error";
  switch (completion.reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kAbort:
      break;
  }
  return "abort";
}

}  // namespace

struct EngineMetrics::Series {
  explicit Series(const Labels& own_labels) : labels(own_labels) {}
  Labels With(const std::string& name, const std::string& value) const {
    Labels all_labels = labels;
    all_labels[name] = value;
    return all_labels;
  }

  const Labels labels;
  const std::shared_ptr<prometheus::Registry> all = std::make_shared<prometheus::Registry>();
  prometheus::Registry& r = *all;

  prometheus::Gauge& running =
      Gauge(r, labels, "vllm:num_requests_running", "Requests in the batch");
  prometheus::Gauge& waiting =
      Gauge(r, labels, "vllm:num_requests_waiting", "Requests in the queue");
  prometheus::Gauge& kv_usage =
      Gauge(r, labels, "vllm:kv_cache_usage_perc", "Share of KV blocks in use, 0 to 1");
  prometheus::Gauge& old_kv_usage =
      Gauge(r, labels, "vllm:gpu_cache_usage_perc", "As kv_cache_usage_perc, for older dashboards");
  Mutex mu;
  FollowingCounter prefix_queries ABSL_GUARDED_BY(mu){
      Counter(r, labels, "vllm:prefix_cache_queries_total", "Tokens looked up when admitted")};
  FollowingCounter prefix_hits ABSL_GUARDED_BY(mu){
      Counter(r, labels, "vllm:prefix_cache_hits_total", "Tokens found in the prefix cache")};
  FollowingCounter preemptions ABSL_GUARDED_BY(mu){
      Counter(r, labels, "vllm:num_preemptions_total", "Running requests sent back to the queue")};
  FollowingCounter drafts ABSL_GUARDED_BY(mu){Counter(r, labels,
                                                      "vllm:spec_decode_num_drafts_total",
                                                      "Times that speculation guessed tokens")};
  FollowingCounter draft_tokens ABSL_GUARDED_BY(mu){
      Counter(r, labels, "vllm:spec_decode_num_draft_tokens_total",
              "Tokens guessed by speculation")};
  FollowingCounter accepted_tokens ABSL_GUARDED_BY(mu){
      Counter(r, labels, "vllm:spec_decode_num_accepted_tokens_total", "Guessed tokens that held")};
  prometheus::Histogram& iteration_tokens = Histogram(
      r, labels, "vllm:iteration_tokens_total", "Tokens computed in a step", kIterationTokens);
  prometheus::Family<prometheus::Histogram>& phases =
      prometheus::BuildHistogram()
          .Name("vallm_engine_step_seconds")
          .Help("Time of a step: the workers', from logits to tokens, and all the rest")
          .Register(r);
  prometheus::Histogram& model_phase = phases.Add(With("phase", "model"), kPhaseSeconds);
  prometheus::Histogram& sampling_phase = phases.Add(With("phase", "sampling"), kPhaseSeconds);
  prometheus::Histogram& schedule_phase = phases.Add(With("phase", "schedule"), kPhaseSeconds);
  prometheus::Histogram& schedule_cpu = Histogram(
      r, labels, "vallm_engine_schedule_cpu_seconds",
      "Processor time of a step's phase `schedule`: without waits for a core", kPhaseSeconds);
  prometheus::Counter& prompt_tokens =
      Counter(r, labels, "vllm:prompt_tokens_total",
              "Prompt tokens of requests that have their first token");
  prometheus::Counter& generation_tokens =
      Counter(r, labels, "vllm:generation_tokens_total", "Sampled tokens");
  prometheus::Family<prometheus::Counter>& success = prometheus::BuildCounter()
                                                         .Name("vllm:request_success_total")
                                                         .Help("Ended requests by finish reason")
                                                         .Register(r);
  prometheus::Histogram& first_token =
      Histogram(r, labels, "vllm:time_to_first_token_seconds", "From arrival to the first token",
                kFirstTokenSeconds);
  prometheus::Histogram& inter_token =
      Histogram(r, labels, "vllm:inter_token_latency_seconds", "Between two tokens of a request",
                kPerTokenSeconds);
  prometheus::Histogram& per_output_token =
      Histogram(r, labels, "vllm:time_per_output_token_seconds",
                "As inter_token_latency_seconds, for older dashboards", kPerTokenSeconds);
  prometheus::Histogram& end_to_end = Histogram(r, labels, "vllm:e2e_request_latency_seconds",
                                                "From arrival to the end", kRequestSeconds);
  prometheus::Histogram& queue = Histogram(r, labels, "vllm:request_queue_time_seconds",
                                           "From arrival to the first step", kRequestSeconds);
  prometheus::Histogram& prefill =
      Histogram(r, labels, "vllm:request_prefill_time_seconds",
                "From the first step to the first token", kRequestSeconds);
  prometheus::Histogram& decode = Histogram(r, labels, "vllm:request_decode_time_seconds",
                                            "From the first to the last token", kRequestSeconds);
  prometheus::Histogram& inference =
      Histogram(r, labels, "vllm:request_inference_time_seconds",
                "From the first step to the last token", kRequestSeconds);
  prometheus::Histogram& prompt_length =
      Histogram(r, labels, "vllm:request_prompt_tokens", "Prompt tokens of a request", kTokens);
  prometheus::Histogram& output_length =
      Histogram(r, labels, "vllm:request_generation_tokens", "Output tokens of a request", kTokens);
  // The engine knows no n: one choice is one request.
  prometheus::Histogram& longest_output =
      Histogram(r, labels, "vllm:request_max_num_generation_tokens",
                "Output tokens of the longest choice", kTokens);
  prometheus::Histogram& params_n =
      Histogram(r, labels, "vllm:request_params_n", "Choices of a request; always 1", kChoices);
  prometheus::Histogram& params_max_tokens = Histogram(
      r, labels, "vllm:request_params_max_tokens", "max_tokens of those that have any", kTokens);
};

EngineMetrics::EngineMetrics(const std::string& model_name)
    : series_(std::make_unique<Series>(Labels{{"model_name", model_name}, {"engine", "0"}})) {
  // So that rates have a zero to start from.
  for (const char* reason : {"stop", "length", "abort", "error"}) {
    series_->success.Add(series_->With("finished_reason", reason));
  }
}

EngineMetrics::~EngineMetrics() = default;

std::shared_ptr<prometheus::Registry> EngineMetrics::registry() const { return series_->all; }

void EngineMetrics::OnLoad(const EngineLoad& load) {
  series_->running.Set(load.running);
  series_->waiting.Set(load.waiting);
  const double usage =
      1 - static_cast<double>(load.free_kv_blocks) / static_cast<double>(load.total_kv_blocks);
  series_->kv_usage.Set(usage);
  series_->old_kv_usage.Set(usage);
  MutexLock lock(series_->mu);
  series_->prefix_queries.Follow(load.counters.prefix_queried_tokens);
  series_->prefix_hits.Follow(load.counters.prefix_hit_tokens);
  series_->preemptions.Follow(load.counters.preemptions);
  series_->drafts.Follow(load.counters.drafts);
  series_->draft_tokens.Follow(load.counters.draft_tokens);
  series_->accepted_tokens.Follow(load.counters.accepted_draft_tokens);
}

void EngineMetrics::OnCache(const SchedulerOptions& options) {
  Labels labels = series_->With("block_size", std::to_string(options.block_size));
  labels["num_gpu_blocks"] = std::to_string(options.num_kv_blocks);
  labels["enable_prefix_caching"] = options.enable_prefix_caching ? "True" : "False";
  Gauge(series_->r, labels, "vllm:cache_config_info", "What the KV cache is like; always 1").Set(1);
}

void EngineMetrics::OnStep(const StepStats& step) {
  series_->iteration_tokens.Observe(step.prompt_tokens + step.sampled_tokens);
  series_->model_phase.Observe(absl::ToDoubleSeconds(step.model_time));
  series_->sampling_phase.Observe(absl::ToDoubleSeconds(step.sampling_time));
  series_->schedule_phase.Observe(absl::ToDoubleSeconds(step.schedule_time));
  series_->schedule_cpu.Observe(absl::ToDoubleSeconds(step.schedule_cpu_time));
}

void EngineMetrics::OnFirstToken(int64_t prompt_tokens, absl::Duration since_arrival) {
  series_->prompt_tokens.Increment(static_cast<double>(prompt_tokens));
  series_->first_token.Observe(absl::ToDoubleSeconds(since_arrival));
}

void EngineMetrics::OnTokens(int count, std::optional<absl::Duration> since_last) {
  series_->generation_tokens.Increment(count);
  if (!since_last.has_value()) return;
  for (int i = 0; i < count; ++i) {
    series_->inter_token.Observe(absl::ToDoubleSeconds(*since_last / count));
    series_->per_output_token.Observe(absl::ToDoubleSeconds(*since_last / count));
  }
}

void EngineMetrics::OnFinish(const Completion& completion, std::optional<int32_t> max_tokens,
                             absl::Duration end_to_end) {
  const Usage& usage = completion.usage;
  const Labels labels = series_->With("finished_reason", ReasonName(completion));
  series_->success.Add(labels).Increment();
  series_->prompt_length.Observe(usage.prompt_tokens);
  series_->output_length.Observe(usage.completion_tokens);
  series_->longest_output.Observe(usage.completion_tokens);
  series_->params_n.Observe(1);
  if (max_tokens.has_value()) series_->params_max_tokens.Observe(*max_tokens);
  series_->end_to_end.Observe(absl::ToDoubleSeconds(end_to_end));
  series_->queue.Observe(absl::ToDoubleSeconds(usage.queue_time));
  series_->prefill.Observe(absl::ToDoubleSeconds(usage.prefill_time));
  series_->decode.Observe(absl::ToDoubleSeconds(usage.decode_time));
  series_->inference.Observe(absl::ToDoubleSeconds(usage.prefill_time + usage.decode_time));
}

}  // namespace vallm::engine
