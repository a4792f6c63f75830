#include "gateway/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/metrics.h"
#include "common/mutex.h"
#include "gateway/routing/load_totals.h"

namespace vallm::gateway {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;
using Labels = std::map<std::string, std::string>;

// vLLM's own, and finer ones below its lowest where a fast engine lives.
const Buckets& FirstTokenBuckets() {
  static const Buckets& buckets =
      *new Buckets{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,  .75,
                   1,    2.5,  5,   7.5, 10,  20,  40,  80, 160, 640, 2560};
  return buckets;
}
const Buckets& TokenGapBuckets() {
  static const Buckets& buckets =
      *new Buckets{.001, .002, .004, .006, .008, .01, .025, .05, .075, .1, .15, .2,
                   .3,   .4,   .5,   .75,  1,    2.5, 5,    7.5, 10,   20, 40,  80};
  return buckets;
}
const Buckets& RequestTimeBuckets() {
  static const Buckets& buckets = *new Buckets{.3, .5, .8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                               30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};
  return buckets;
}
const Buckets& TokenCountBuckets() {
  static const Buckets& buckets = *new Buckets{
      1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000};
  return buckets;
}
const Buckets& CountBuckets() {
  static const Buckets& buckets = *new Buckets{1, 2, 5, 10, 20};
  return buckets;
}

const char* ReasonName(MoveReason reason) {
  switch (reason) {
    case MoveReason::kRefused:
      return "refused";
    case MoveReason::kDied:
      return "died";
    case MoveReason::kStalled:
      return "stalled";
    case MoveReason::kDrained:
      return "drained";
  }
  return "unknown";
}

}  // namespace

struct GatewayMetrics::Series {
  Series(const std::string& model_name, const std::string& policy_name)
      : registry(std::make_shared<prometheus::Registry>()),
        model{{"model_name", model_name}},
        policy(policy_name) {}

  prometheus::Counter& Counter(const std::string& name, const std::string& help,
                               const Labels& labels) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(*registry).Add(labels);
  }
  prometheus::Histogram& Histogram(const std::string& name, const std::string& help,
                                   const Buckets& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(*registry).Add(model,
                                                                                      buckets);
  }
  Labels With(const std::string& key, const std::string& value) const {
    Labels labels = model;
    labels[key] = value;
    return labels;
  }

  prometheus::Counter& Moves(MoveReason reason) {
    return Counter("vallm_gateway_moves_total",
                   "Choices run again, or parsed again, because a service was lost.",
                   With("reason", ReasonName(reason)));
  }

  prometheus::Counter& Routed(RoutingReason reason) {
    Labels labels = With("reason", NameOf(reason));
    labels["policy"] = policy;
    return Counter("vallm_gateway_routing_decisions_total",
                   "Choices placed on an instance, by what spoke for it.", labels);
  }

  prometheus::Counter& Chats(const char* thinking) {
    return Counter("vallm_gateway_chats_total",
                   "Chats by what they say of thinking: on, off, or default for nothing.",
                   With("thinking", thinking));
  }

  prometheus::Counter& Reloads(const std::string& what, bool ok) {
    return Counter("vallm_gateway_reloads_total", "Files of keys and certificates read again.",
                   {{"what", what}, {"result", ok ? "ok" : "error"}});
  }

  // What the engine has counted, under the names that it gives it itself.
  void AddCounts(const InstanceSnapshot& instance, const Labels& labels,
                 prometheus::Registry& into) {
    LoadTotals totals;
    {
      MutexLock lock(mu);
      loads.Advance(instance.name, instance.load, /*from_zero=*/true);
      totals = loads.Total(instance.name);
    }
    const struct {
      const char* name;
      const char* help;
      int64_t count;
    } counters[] = {
        {"vllm:prefix_cache_queries_total", "Tokens that were looked for in the prefix cache.",
         totals.prefix_queried_tokens},
        {"vllm:prefix_cache_hits_total", "Of these, tokens that were found.",
         totals.prefix_hit_tokens},
        {"vllm:num_preemptions_total", "How often a running request gave up its KV blocks.",
         totals.preemptions},
        {"vllm:spec_decode_num_drafts_total", "How often tokens were guessed.", totals.drafts},
        {"vllm:spec_decode_num_draft_tokens_total", "Guessed tokens.", totals.draft_tokens},
        {"vllm:spec_decode_num_accepted_tokens_total", "Guessed tokens that held.",
         totals.accepted_draft_tokens},
    };
    for (const auto& counter : counters) {
      prometheus::BuildCounter()
          .Name(counter.name)
          .Help(counter.help)
          .Register(into)
          .Add(labels)
          .Increment(static_cast<double>(counter.count));
    }
  }

  std::shared_ptr<prometheus::Registry> registry;
  const Labels model;
  const std::string policy;
  Mutex mu;
  LoadFollower loads ABSL_GUARDED_BY(mu);

  prometheus::Counter& prompt_tokens =
      Counter("vllm:prompt_tokens_total", "Prompt tokens processed.", model);
  prometheus::Counter& generation_tokens =
      Counter("vllm:generation_tokens_total", "Tokens generated.", model);
  prometheus::Counter& reasoning_tokens =
      Counter("vallm_gateway_reasoning_tokens_total",
              "Of the tokens of answers that ended well, those of thoughts.", model);
  prometheus::Counter& retries =
      Counter("vallm_gateway_retries_total", "Of the moves, those before the first token.", model);
  prometheus::Counter& routed_tokens =
      Counter("vallm_gateway_routed_prompt_tokens_total",
              "Prompt tokens of choices placed on an instance.", model);
  prometheus::Counter& expected_tokens = Counter(
      "vallm_gateway_prefix_tokens_expected_total",
      "Of these, the tokens that the instance was expected to have in its prefix cache.", model);
  prometheus::Counter& quarantined =
      Counter("vallm_gateway_quarantined_total",
              "Requests given up because instances died whenever they ran.", model);
  prometheus::Counter& failed = Counter("vallm_gateway_request_failures_total",
                                        "Generations that ended with an error.", model);
  prometheus::Histogram& first_token =
      Histogram("vllm:time_to_first_token_seconds", "From the accepted request to its first token.",
                FirstTokenBuckets());
  prometheus::Histogram& inter_token = Histogram(
      "vllm:inter_token_latency_seconds", "Between two tokens of an answer.", TokenGapBuckets());
  prometheus::Histogram& per_output_token =
      Histogram("vllm:time_per_output_token_seconds",
                "Between two tokens of an answer (older name).", TokenGapBuckets());
  prometheus::Histogram& end_to_end =
      Histogram("vllm:e2e_request_latency_seconds", "From the request to its last token.",
                RequestTimeBuckets());
  prometheus::Histogram& queue_time =
      Histogram("vllm:request_queue_time_seconds", "Waiting for a slot on an instance.",
                RequestTimeBuckets());
  prometheus::Histogram& prefill_time =
      Histogram("vllm:request_prefill_time_seconds", "From the first slot to the first token.",
                RequestTimeBuckets());
  prometheus::Histogram& decode_time =
      Histogram("vllm:request_decode_time_seconds", "From the first token to the last.",
                RequestTimeBuckets());
  prometheus::Histogram& inference_time =
      Histogram("vllm:request_inference_time_seconds", "From the first slot to the last token.",
                RequestTimeBuckets());
  prometheus::Histogram& longest_choice =
      Histogram("vllm:request_max_num_generation_tokens", "Tokens of a request's longest choice.",
                TokenCountBuckets());
  prometheus::Histogram& request_prompt_tokens =
      Histogram("vllm:request_prompt_tokens", "Prompt tokens of a request.", TokenCountBuckets());
  prometheus::Histogram& request_generation_tokens = Histogram(
      "vllm:request_generation_tokens", "Tokens generated for a request.", TokenCountBuckets());
  prometheus::Histogram& request_max_tokens =
      Histogram("vllm:request_params_max_tokens", "max_tokens in effect.", TokenCountBuckets());
  prometheus::Histogram& request_n =
      Histogram("vllm:request_params_n", "Choices of a request.", CountBuckets());
};

GatewayMetrics::GatewayMetrics(const std::string& model_name, RoutingPolicyKind policy)
    : series_(std::make_unique<Series>(model_name, NameOf(policy))) {
  for (const RoutingReason reason : {RoutingReason::kSession, RoutingReason::kPrefix,
                                     RoutingReason::kLoad, RoutingReason::kTurn}) {
    series_->Routed(reason);
  }
  for (const char* reason : {"stop", "length", "abort"}) {
    series_->Counter("vllm:request_success_total", "Finished requests by reason.",
                     series_->With("finished_reason", reason));
  }
  for (const MoveReason reason :
       {MoveReason::kRefused, MoveReason::kDied, MoveReason::kStalled, MoveReason::kDrained}) {
    series_->Moves(reason);
  }
  for (const char* thinking : {"on", "off", "default"}) series_->Chats(thinking);
}

GatewayMetrics::~GatewayMetrics() = default;

void GatewayMetrics::CountHttpRequest(const std::string& handler, const std::string& method,
                                      int status, absl::Duration duration) {
  series_
      ->Counter(
          "http_requests_total", "HTTP requests by path, method and class of status.",
          {{"handler", handler}, {"method", method}, {"status", absl::StrCat(status / 100, "xx")}})
      .Increment();
  prometheus::BuildHistogram()
      .Name("http_request_duration_seconds")
      .Help("From the request's body to the end of the answer.")
      .Register(*series_->registry)
      .Add({{"handler", handler}, {"method", method}}, RequestTimeBuckets())
      .Observe(absl::ToDoubleSeconds(duration));
}

void GatewayMetrics::CountSuccess(const std::string& finish_reason, const TokenUsage& usage,
                                  int64_t max_tokens, int choices, absl::Duration duration) {
  // vLLM's engine knows no tool calls: to it such an answer stopped.
  const std::string reason = finish_reason == "length" ? "length" : "stop";
  series_
      ->Counter("vllm:request_success_total", "Finished requests by reason.",
                series_->With("finished_reason", reason))
      .Increment();
  series_->end_to_end.Observe(absl::ToDoubleSeconds(duration));
  series_->request_prompt_tokens.Observe(static_cast<double>(usage.prompt_tokens));
  series_->request_generation_tokens.Observe(static_cast<double>(usage.completion_tokens));
  series_->request_max_tokens.Observe(static_cast<double>(max_tokens));
  series_->request_n.Observe(choices);
  series_->reasoning_tokens.Increment(static_cast<double>(usage.reasoning_tokens));
}

void GatewayMetrics::CountChat(std::optional<bool> thinking) {
  series_->Chats(!thinking.has_value() ? "default" : *thinking ? "on" : "off").Increment();
}

void GatewayMetrics::CountAborted() {
  series_
      ->Counter("vllm:request_success_total", "Finished requests by reason.",
                series_->With("finished_reason", "abort"))
      .Increment();
}

void GatewayMetrics::CountFailed() { series_->failed.Increment(); }
void GatewayMetrics::CountMove(MoveReason reason, bool begun) {
  series_->Moves(reason).Increment();
  if (!begun) series_->retries.Increment();
}

void GatewayMetrics::CountQuarantined() { series_->quarantined.Increment(); }

void GatewayMetrics::CountRouting(RoutingReason reason, int64_t matched_tokens,
                                  int64_t prompt_tokens) {
  series_->Routed(reason).Increment();
  series_->expected_tokens.Increment(static_cast<double>(matched_tokens));
  series_->routed_tokens.Increment(static_cast<double>(prompt_tokens));
}

void GatewayMetrics::CountBackground(const std::string& task) {
  series_
      ->Counter("vallm_gateway_background_requests_total",
                "Requests that nobody waits for, by the task they were recognised as.",
                series_->With("task", task.empty() ? "declared" : task))
      .Increment();
}

void GatewayMetrics::CountPromptTokens(int64_t count) {
  series_->prompt_tokens.Increment(static_cast<double>(count));
}

void GatewayMetrics::CountGenerationTokens(int count) {
  series_->generation_tokens.Increment(count);
}

void GatewayMetrics::ObserveQueueTime(absl::Duration duration) {
  series_->queue_time.Observe(absl::ToDoubleSeconds(duration));
}

void GatewayMetrics::ObserveTimeToFirstToken(absl::Duration duration) {
  series_->first_token.Observe(absl::ToDoubleSeconds(duration));
}

void GatewayMetrics::ObserveRun(absl::Duration prefill, absl::Duration decode,
                                int64_t longest_choice) {
  series_->prefill_time.Observe(absl::ToDoubleSeconds(prefill));
  series_->decode_time.Observe(absl::ToDoubleSeconds(decode));
  series_->inference_time.Observe(absl::ToDoubleSeconds(prefill + decode));
  series_->longest_choice.Observe(static_cast<double>(longest_choice));
}

void GatewayMetrics::ObserveInterTokenLatency(absl::Duration gap, int count) {
  const double seconds = std::max(absl::ToDoubleSeconds(gap), 0.0);
  for (int i = 0; i < count; ++i) {
    series_->inter_token.Observe(seconds);
    series_->per_output_token.Observe(seconds);
  }
}

void GatewayMetrics::CountKeyRequest(const std::string& key) {
  series_
      ->Counter("vallm_gateway_key_requests_total", "Requests that came in, by API key.",
                {{"key", key}})
      .Increment();
}

void GatewayMetrics::CountKeyRefusal(const std::string& key, const std::string& reason) {
  series_
      ->Counter("vallm_gateway_key_refusals_total", "Requests refused for their API key.",
                {{"key", key}, {"reason", reason}})
      .Increment();
}

void GatewayMetrics::CountKeyTokens(const std::string& key, int64_t prompt_tokens,
                                    int64_t completion_tokens) {
  for (const auto& [kind, count] :
       {std::pair("prompt", prompt_tokens), std::pair("completion", completion_tokens)}) {
    series_
        ->Counter("vallm_gateway_key_tokens_total", "Tokens of requests, by API key.",
                  {{"key", key}, {"kind", kind}})
        .Increment(static_cast<double>(count));
  }
}

void GatewayMetrics::ExpectReloads(const std::string& what) {
  for (const bool ok : {false, true}) series_->Reloads(what, ok);
}

void GatewayMetrics::CountReload(const std::string& what, bool ok) {
  series_->Reloads(what, ok).Increment();
}

std::string GatewayMetrics::Text(const Now& now) {
  // Made anew each time: instances come and go, and with them their series.
  prometheus::Registry registry;
  const auto gauge = [&registry](const std::string& name, const std::string& help,
                                 const Labels& labels) -> prometheus::Gauge& {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels);
  };
  for (const InstanceSnapshot& instance : now.instances) {
    const Labels labels =
        series_->With("engine", instance.name.substr(instance.name.rfind('-') + 1));
    gauge("vllm:num_requests_running", "Requests running on the instance.", labels)
        .Set(instance.load.running_count());
    gauge("vllm:num_requests_waiting", "Requests waiting at the instance.", labels)
        .Set(instance.load.waiting_count());
    const double total = static_cast<double>(instance.load.total_kv_block_count());
    const double used = total - static_cast<double>(instance.load.free_kv_block_count());
    for (const char* name : {"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"}) {
      gauge(name, "Share of the KV cache in use, 0 to 1.", labels)
          .Set(total > 0 ? used / total : 0);
    }
    series_->AddCounts(instance, labels, registry);
    if (instance.info.has_value() && total > 0) {
      Labels config = labels;
      config["num_gpu_blocks"] = absl::StrCat(instance.load.total_kv_block_count());
      config["block_size"] = absl::StrCat(instance.info->kv_cache_token_count() /
                                          instance.load.total_kv_block_count());
      gauge("vllm:cache_config_info", "1; the labels say how the KV cache is laid out.", config)
          .Set(1);
    }
    Labels info = labels;
    info["address"] = instance.address;
    gauge("vallm_gateway_instance_info",
          "1; the address of the instance. Each gateway numbers instances as it finds them.", info)
        .Set(1);
    gauge("vallm_gateway_instance_serving", "1 while the instance serves.", labels)
        .Set(instance.serving ? 1 : 0);
    const int breaker = instance.breaker == CircuitBreaker::State::kClosed     ? 0
                        : instance.breaker == CircuitBreaker::State::kHalfOpen ? 1
                                                                               : 2;
    gauge("vallm_gateway_breaker_state",
          "The instance's circuit breaker: 0 closed, 1 half open, 2 open.", labels)
        .Set(breaker);
    gauge("vallm_gateway_breaker_openings", "How often it has opened.", labels)
        .Set(static_cast<double>(instance.breaker_openings));
    gauge("vallm_gateway_instance_restarts", "How often it was seen to have restarted.", labels)
        .Set(static_cast<double>(instance.restarts));
    gauge("vallm_gateway_requests_in_flight", "This gateway's requests there.", labels)
        .Set(instance.in_flight);
  }
  gauge("vallm_gateway_queue_length", "Requests waiting for a slot.", series_->model)
      .Set(now.waiting);
  gauge("vallm_gateway_tokenizer_up", "1 while the tokenizer service answers.", series_->model)
      .Set(now.tokenizer_is_up ? 1 : 0);
  gauge("vallm_gateway_tokenizer_copied",
        "1 while the gateway has a copy of it, which encodes small prompts.", series_->model)
      .Set(now.tokenizer_is_copied ? 1 : 0);
  return MetricsText(*series_->registry) + MetricsText(registry);
}

}  // namespace vallm::gateway
