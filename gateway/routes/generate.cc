#include "gateway/routes/generate.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "gateway/access/key_ring.h"
#include "gateway/generation/length_limits.h"
#include "gateway/generation/reasoning_filter.h"
#include "gateway/openai/errors.h"
#include "gateway/random_id.h"
#include "gateway/routes/answer_constraint.h"
#include "gateway/routes/answer_trace.h"
#include "gateway/routes/bad_words.h"
#include "gateway/routes/engine_refusal.h"
#include "gateway/routes/ignored_params.h"
#include "gateway/routes/request_class.h"
#include "gateway/unused_stack.h"

namespace vallm::gateway {
namespace {

// One request while it is answered. Owned by the response's stream or by the handler.
struct Answer {
  Answer(GatewayContext& gateway_context, RequestGate::Place gate_place)
      : context(gateway_context), place(std::move(gate_place)) {}

  GatewayContext& context;
  const RequestGate::Place place;
  AnswerHeader header;
  int64_t max_tokens = 0;
  int64_t truncated_tokens = 0;  // of all prompts
  std::shared_ptr<RequestRecord> record = std::make_shared<RequestRecord>();
  std::optional<AnswerTrace> trace;  // for the request log
  std::unique_ptr<Generation> generation;
  std::unique_ptr<HangupWatch::Place> hangup;   // of the client; may be null
  std::optional<LiveAnswers::Listing> listing;  // of a stream
  std::shared_ptr<KeyLease> key;                // may be null
};

// Leaves of a prompt what the request wants of it.
void Truncate(const GenerationParams& params, const LengthLimits& limits,
              std::vector<int32_t>* prompt) {
  if (!params.truncate_prompt_tokens) return;
  int64_t kept = *params.truncate_prompt_tokens;
  if (kept == GenerationParams::kAllThatFit) {
    const int64_t beside_answer = limits.max_model_len - params.max_tokens.value_or(1);
    kept = std::max<int64_t>(std::min(limits.max_input_len, beside_answer), 1);
  }
  const auto size = static_cast<int64_t>(prompt->size());
  if (size <= kept) return;
  if (params.truncate_right) {
    prompt->resize(static_cast<size_t>(kept));
  } else {
    prompt->erase(prompt->begin(), prompt->begin() + (size - kept));
  }
}

// Completes the job's choices: best_of of each prompt, each with its room and its seed.
absl::Status FillChoices(GatewayContext& context, GenerationJob* job, int64_t* truncated_tokens) {
  const LengthLimits limits = {.max_model_len = job->model.max_model_len,
                               .max_input_len = job->model.max_input_len,
                               .overflow = context.options.max_tokens_overflow};
  const int64_t seed = job->params.seed.value_or(NewSeed());
  std::vector<GenerationSpec::Choice> choices;
  for (GenerationSpec::Choice& prompt : job->spec.choices) {
    if (prompt.prompt_token_ids.empty()) {
      return InvalidParam(job->prompt_param, "the prompt has no tokens");
    }
    const size_t whole_size = prompt.prompt_token_ids.size();
    Truncate(job->params, limits, &prompt.prompt_token_ids);
    *truncated_tokens += static_cast<int64_t>(whole_size - prompt.prompt_token_ids.size());
    VALLM_ASSIGN_OR_RETURN(prompt.max_tokens,
                           FitMaxTokens(static_cast<int64_t>(prompt.prompt_token_ids.size()),
                                        job->params.max_tokens, limits, job->prompt_param));
    if (prompt.max_tokens < job->params.min_tokens) {
      return InvalidParam("min_tokens", absl::StrCat("'min_tokens' is ", job->params.min_tokens,
                                                     "; it must be at most max_tokens, which is ",
                                                     prompt.max_tokens));
    }
    for (int i = 0; i < job->params.best_of; ++i) {
      // The first answer is the one that n = 1 gives. Unsigned: overflow wraps.
      prompt.seed = static_cast<int64_t>(static_cast<uint64_t>(seed) + static_cast<uint64_t>(i));
      choices.push_back(prompt);
    }
  }
  job->spec.choices = std::move(choices);
  job->spec.choices_per_prompt = job->params.best_of;
  return absl::OkStatus();
}

void FillProcessors(const GenerationParams& params, v1::SamplingParams* sampling) {
  if (params.min_p) sampling->set_min_p(*params.min_p);
  if (params.repetition_penalty) sampling->set_repetition_penalty(*params.repetition_penalty);
  if (params.presence_penalty) sampling->set_presence_penalty(*params.presence_penalty);
  if (params.frequency_penalty) sampling->set_frequency_penalty(*params.frequency_penalty);
  for (const auto& [token_id, bias] : params.logit_bias) {
    (*sampling->mutable_logit_bias())[token_id] = bias;
  }
  if (params.allowed_token_ids) {
    sampling->mutable_allowed_token_ids()->mutable_ids()->Add(params.allowed_token_ids->begin(),
                                                              params.allowed_token_ids->end());
  }
}

void FillParameters(const GatewayContext& context, const GenerationParams& params, bool echo,
                    GenerationSpec* spec) {
  if (params.temperature) spec->sampling.set_temperature(*params.temperature);
  if (params.top_p) spec->sampling.set_top_p(*params.top_p);
  if (params.top_k) spec->sampling.set_top_k(*params.top_k);
  FillProcessors(params, &spec->sampling);
  if (params.constraint) FillConstraint(*params.constraint, spec);
  // A budget for a thought that is switched off asks nothing of the engine.
  if (params.thinking.enabled.value_or(true)) {
    spec->thinking_token_budget = params.thinking.token_budget;
  }
  spec->stop.mutable_stop_token_ids()->Add(params.stop_token_ids.begin(),
                                           params.stop_token_ids.end());
  spec->stop.set_min_tokens(params.min_tokens);
  spec->cache_salt = params.cache_salt;
  spec->prompt_lookup_num_tokens = params.prompt_lookup_num_tokens;
  spec->top_logprobs = params.top_logprobs;
  spec->prompt_top_logprobs = params.prompt_logprobs;
  if (echo && params.top_logprobs) {
    spec->prompt_top_logprobs = std::max(*params.top_logprobs, params.prompt_logprobs.value_or(0));
  }
  // The best answers are those with the likeliest tokens.
  if (!spec->top_logprobs && params.best_of > params.n) spec->top_logprobs = 0;
  spec->stop.set_eos_mode(params.ignore_eos ? v1::EOS_MODE_IGNORE : v1::EOS_MODE_STOP);
  spec->output.stop = params.stop;
  spec->output.include_stop_str_in_output = params.include_stop_str_in_output;
  spec->output.skip_special_tokens = params.skip_special_tokens;
  spec->output.min_tokens = params.min_tokens;
  spec->return_token_ids = params.return_token_ids;
  if (context.options.verbatim_whitespace) {
    spec->output.whitespace = tokenizer::Whitespace::kVerbatim;
  }
}

void AddHeaders(const Answer& answer, const GenerationParams& params, HttpResponse* response) {
  HttpHeaders& headers = response->headers;
  headers.emplace_back("X-Prompt-Tokens", absl::StrCat(answer.header.prompt_tokens));
  headers.emplace_back("X-Max-Tokens-Effective", absl::StrCat(answer.max_tokens));
  if (answer.truncated_tokens > 0) {
    headers.emplace_back("X-Truncated-Prompt-Tokens", absl::StrCat(answer.truncated_tokens));
  }
  AddIgnoredHeader(params.ignored, &headers);
  if (params.background) headers.emplace_back("X-Vallm-Class", "background");
  if (!params.task.empty()) headers.emplace_back("X-Vallm-Task", params.task);
  const GenerationStats& stats = answer.generation->stats();
  if (stats.instance.empty()) return;
  headers.emplace_back("X-Instance", stats.instance);
  headers.emplace_back("X-Queue-Ms", absl::StrCat(absl::ToInt64Milliseconds(stats.queued)));
}

TokenUsage TotalUsage(const Answer& answer) {
  TokenUsage usage = answer.generation->stats().usage;
  usage.prompt_tokens = answer.header.prompt_tokens;
  return usage;
}

// The same with the times of the answer, which has just ended, if the client asked for them.
TokenUsage FinalUsage(const Answer& answer) {
  TokenUsage usage = TotalUsage(answer);
  // Those of several choices would say nothing about any of them.
  if (!answer.header.metrics || answer.header.choice_count > 1) return usage;
  const GenerationStats& stats = answer.generation->stats();
  const absl::Time end = absl::Now();
  const absl::Time first_token = stats.first_token.value_or(end);
  usage.times = {.queue_ms = absl::ToDoubleMilliseconds(stats.queued),
                 .first_token_ms = absl::ToDoubleMilliseconds(first_token - stats.started),
                 .generation_ms = absl::ToDoubleMilliseconds(end - first_token)};
  return usage;
}

ReasoningDelivery DeliveryOf(const GenerationParams& params) {
  if (!params.include_reasoning) return ReasoningDelivery::kLeftOut;
  return params.stream && !params.stream_reasoning ? ReasoningDelivery::kInOnePiece
                                                   : ReasoningDelivery::kAsItComes;
}

// Notes how it ended, for the metrics and the log line.
void Conclude(Answer& answer, const absl::Status& status) {
  if (!status.ok()) answer.generation->GiveUp();
  const GenerationStats& stats = answer.generation->stats();
  const TokenUsage usage = TotalUsage(answer);
  const absl::Duration total = absl::Now() - stats.started;
  const int64_t completion_tokens = status.ok() ? usage.completion_tokens : stats.token_count;
  if (answer.key != nullptr) {
    answer.key->meter().ChargeTokens(completion_tokens, absl::Now());
    answer.context.metrics.CountKeyTokens(answer.key->key().name, usage.prompt_tokens,
                                          completion_tokens);
  }
  GatewayMetrics& metrics = answer.context.metrics;
  metrics.CountPromptTokens(usage.prompt_tokens);
  if (status.ok()) {
    metrics.CountSuccess(stats.finish_reason, usage, answer.max_tokens, answer.header.choice_count,
                         total);
    const absl::Time first_token = stats.first_token.value_or(stats.started + total);
    metrics.ObserveRun(first_token - (stats.started + stats.queued),
                       stats.started + total - first_token, stats.longest_choice);
  } else {
    answer.record->status = HttpStatusOf(status);
    absl::IsCancelled(status) ? metrics.CountAborted() : metrics.CountFailed();
  }
  const std::string finish =
      status.ok() ? stats.finish_reason : absl::StatusCodeToString(status.code());
  answer.trace->Conclude(stats, usage, finish);
  answer.record->detail = absl::StrCat(
      " id=", answer.header.id, " model=", answer.header.model,
      " instance=", stats.instance.empty() ? "-" : stats.instance,
      " prompt_tokens=", usage.prompt_tokens, " cached_tokens=", usage.cached_tokens,
      " completion_tokens=", completion_tokens,
      " queue_ms=", absl::ToInt64Milliseconds(stats.queued), " ttft_ms=",
      stats.first_token ? absl::ToInt64Milliseconds(*stats.first_token - stats.started) : -1);
  if (stats.moves > 0) absl::StrAppend(&answer.record->detail, " moves=", stats.moves);
  absl::StrAppend(&answer.record->detail, " finish=", finish);
}

// Looks after the client while its answer is waited for.
class Heartbeat {
 public:
  Heartbeat(const GatewayContext& context, std::function<bool()> client_gone)
      : context_(context), client_gone_(std::move(client_gone)) {}

  // The answer goes out through `sink` from now on; null: not any more.
  void Attach(BodySink* sink) { sink_ = sink; }
  // Something has been written.
  void Wrote() { last_write_ = absl::Now(); }

  // Whether to go on waiting; says so to a client that has heard nothing for long.
  absl::Status Check() {
    ReleaseStackOnce();
    if (client_gone_()) return absl::CancelledError("the client closed the connection");
    if (context_.stopping) return absl::UnavailableError("the server is shutting down");
    if (sink_ == nullptr || absl::Now() - last_write_ < context_.options.sse_keepalive) {
      return absl::OkStatus();
    }
    Wrote();
    if (sink_->Write(": keep-alive\n\n")) return absl::OkStatus();
    return absl::CancelledError("the client is gone or reads nothing");
  }

 private:
  // An answer that takes longer than most may take long.
  void ReleaseStackOnce() {
    if (released_stack_ || absl::Now() - begin_ < kLongWait) return;
    released_stack_ = true;
    ReleaseUnusedStack();
  }

  static constexpr absl::Duration kLongWait = absl::Seconds(1);

  const GatewayContext& context_;
  const std::function<bool()> client_gone_;
  const absl::Time begin_ = absl::Now();
  bool released_stack_ = false;
  BodySink* sink_ = nullptr;
  absl::Time last_write_ = absl::Now();
};

// Writes the answer as it comes, in the middle of it from the threads that bring the tokens.
// Whatever happens, it ends in one of two ways: that of answers whose choices all have finished, or
// that of errors.
absl::Status Stream(Answer& answer, ReasoningFilter filter, StreamEncoder& encoder,
                    Heartbeat& heartbeat, BodySink& sink) {
  std::string out;
  const auto encode = [&](std::vector<GenerationEvent> events) {
    out.clear();
    filter.Apply(&events);
    for (const GenerationEvent& event : events) encoder.Encode(event, &out);
    if (!out.empty()) heartbeat.Wrote();
  };
  Generation& generation = *answer.generation;
  std::exception_ptr failure;  // a library's; to be dealt with where those of this thread are
  generation.SetDelivery([&](std::vector<GenerationEvent> events) {
    try {
      encode(std::move(events));
    } catch (...) {
      failure = std::current_exception();
      return false;
    }
    return sink.TryWrite(out);
  });
  const auto end_delivery = absl::MakeCleanup([&] { generation.SetDelivery(nullptr); });
  encoder.Begin(&out);
  for (;;) {
    // Also what the delivery has left.
    if (!sink.Write(out)) return absl::CancelledError("the client is gone or reads nothing");
    absl::StatusOr<std::vector<GenerationEvent>> events = generation.Next();
    if (failure != nullptr) std::rethrow_exception(failure);
    if (!events.ok()) {
      if (!absl::IsCancelled(events.status())) {
        out.clear();
        encoder.Fail(events.status(), &out);
        sink.Write(out);
      }
      return events.status();
    }
    encode(*std::move(events));
    if (generation.done()) break;
  }
  encoder.End(FinalUsage(answer), &out);
  if (!sink.Write(out)) return absl::CancelledError("the client is gone or reads nothing");
  return absl::OkStatus();
}

absl::Status Collect(Answer& answer, ReasoningFilter filter, WholeEncoder& encoder) {
  for (;;) {
    VALLM_ASSIGN_OR_RETURN(std::vector<GenerationEvent> events, answer.generation->Next());
    if (events.empty()) return absl::OkStatus();
    filter.Apply(&events);
    for (const GenerationEvent& event : events) encoder.Add(event);
  }
}

// A key's requests have its priority, or a lower one that they ask for: lower is more.
int32_t PriorityFor(const ApiKey& key, int32_t asked) {
  if (!key.priority.has_value()) return asked;
  return static_cast<int32_t>(std::min<int64_t>(int64_t{*key.priority} + std::max(asked, 0),
                                                std::numeric_limits<int32_t>::max()));
}

AnswerHeader MakeHeader(const GatewayContext& context, const GenerationJob& job) {
  AnswerHeader header;
  header.id = NewId(job.id_prefix);
  header.created = absl::ToUnixSeconds(absl::Now());
  header.model = job.params.model.empty() ? job.model.names.front() : job.params.model;
  header.system_fingerprint = absl::StrCat("fp_", job.model.fingerprint);
  header.choice_count = static_cast<int>(job.spec.choices.size());
  for (size_t i = 0; i < job.spec.choices.size(); i += static_cast<size_t>(job.params.best_of)) {
    const std::vector<int32_t>& prompt = job.spec.choices[i].prompt_token_ids;
    header.prompt_tokens += static_cast<int64_t>(prompt.size());
    if (job.params.return_token_ids) header.prompt_token_ids.push_back(prompt);
  }
  header.best_of = job.params.best_of;
  header.n = job.params.n;
  header.echo_texts = job.echo_texts;
  header.prompt_texts = job.prompt_texts;
  header.token_ids = job.params.return_token_ids;
  header.metrics = job.params.include_metrics;
  header.include_usage = job.params.include_usage || context.options.force_include_usage;
  header.continuous_usage = job.params.continuous_usage_stats;
  return header;
}

}  // namespace

HttpResponse RunGeneration(GatewayContext& context, const HttpRequest& request, GenerationJob job,
                           RequestGate::Place place) {
  if (absl::Status status = CheckIgnored(context.options, request, job.params.ignored);
      !status.ok()) {
    return job.error_response(status);
  }
  int64_t truncated_tokens = 0;
  if (absl::Status status = FillChoices(context, &job, &truncated_tokens); !status.ok()) {
    return job.error_response(status);
  }
  FillParameters(context, job.params, !job.echo_texts.empty(), &job.spec);
  FillPlacement(request, job.params, &job.spec);
  if (job.params.background) context.metrics.CountBackground(job.params.task);
  if (absl::Status status = AddBadWords(context.tokenizer, job.params.bad_words, request.request_id,
                                        &job.spec.sampling);
      !status.ok()) {
    return job.error_response(status);
  }
  auto answer = std::make_shared<Answer>(context, std::move(place));
  answer->header = MakeHeader(context, job);
  answer->truncated_tokens = truncated_tokens;
  answer->header.logprobs = job.params.top_logprobs.has_value();
  answer->header.prompt_logprobs = job.params.prompt_logprobs.has_value();
  absl::StatusOr<std::shared_ptr<const tokenizer::TokenTable>> token_table =
      context.tokenizer.GetTokenTable(request.request_id);
  if (!token_table.ok()) return job.error_response(token_table.status());
  answer->header.token_table = *token_table;
  answer->max_tokens = job.spec.choices.front().max_tokens;
  for (const GenerationSpec::Choice& choice : job.spec.choices) {
    answer->max_tokens = std::min<int64_t>(answer->max_tokens, choice.max_tokens);
  }
  answer->key = request.key;
  if (answer->key != nullptr) {
    answer->key->meter().ChargeTokens(answer->header.prompt_tokens, absl::Now());
    job.spec.priority = PriorityFor(answer->key->key(), job.spec.priority);
  }
  answer->trace.emplace(request.trace, answer->header, job.params.stream);
  job.spec.id = answer->header.id;
  job.spec.request_id = request.request_id;
  const auto heartbeat = std::make_shared<Heartbeat>(context, request.client_gone);
  // Asked by the generation, which the answer owns.
  auto keep_going = [heartbeat, &asked = *answer] {
    asked.trace->Report(asked.generation->stats());
    return heartbeat->Check();
  };
  answer->generation = std::make_unique<Generation>(context.pool, *std::move(token_table),
                                                    context.metrics, context.options.generation,
                                                    std::move(job.spec), std::move(keep_going));
  answer->hangup = request.when_client_goes(answer->generation->waker());

  const ReasoningFilter filter(DeliveryOf(job.params));
  HttpResponse response;
  // A stream that is to be kept alive begins before there is anything to say.
  absl::Status status = answer->generation->Start(job.params.stream ? context.options.sse_keepalive
                                                                    : absl::InfiniteDuration());
  if (status.ok() && job.params.stream) {
    std::shared_ptr<StreamEncoder> encoder = job.stream_encoder(answer->header);
    answer->listing.emplace(
        context.live_answers.Add(answer->header.id, answer->generation->pipelines()));
    AddHeaders(*answer, job.params, &response);
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.headers.emplace_back("X-Accel-Buffering", "no");
    response.content_type = "text/event-stream";
    response.record = answer->record;
    response.stream = [answer, encoder, filter, heartbeat](BodySink& sink) {
      heartbeat->Attach(&sink);
      Conclude(*answer, Stream(*answer, filter, *encoder, *heartbeat, sink));
      heartbeat->Attach(nullptr);
      answer->listing.reset();
      answer->hangup.reset();
      answer->generation.reset();
    };
    return response;
  }
  std::unique_ptr<WholeEncoder> encoder = job.whole_encoder(answer->header);
  if (status.ok()) status = Collect(*answer, filter, *encoder);
  if (job.params.constraint) status = NameTheConstraint(status, *job.params.constraint);
  status = NameTheThinking(status, job.params.thinking);
  status = NameTheParameter(status, job.prompt_param);
  if (status.ok()) {
    response.body = encoder->Body(FinalUsage(*answer));
  } else {
    response = job.error_response(status);
  }
  AddHeaders(*answer, job.params, &response);
  Conclude(*answer, status);
  response.record = answer->record;
  return response;
}

}  // namespace vallm::gateway
