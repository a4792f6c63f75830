#include "gateway/routes/generate.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "gateway/access/key_ring.h"
#include "gateway/generation/length_limits.h"
#include "gateway/openai/errors.h"
#include "gateway/random_id.h"
#include "gateway/routes/answer_constraint.h"
#include "gateway/routes/answer_trace.h"
#include "gateway/routes/bad_words.h"

namespace vallm::gateway {
namespace {

constexpr size_t kMaxIgnoredHeaderBytes = 1024;

// One request while it is answered. Owned by the response's stream or by the handler.
struct Answer {
  Answer(GatewayContext& gateway_context, RequestGate::Place gate_place)
      : context(gateway_context), place(std::move(gate_place)) {}

  GatewayContext& context;
  const RequestGate::Place place;
  AnswerHeader header;
  int64_t max_tokens = 0;
  std::shared_ptr<RequestRecord> record = std::make_shared<RequestRecord>();
  std::optional<AnswerTrace> trace;  // for the request log
  std::unique_ptr<Generation> generation;
  std::optional<LiveAnswers::Listing> listing;  // of a stream
  std::shared_ptr<KeyLease> key;                // may be null
};

// Completes the job's choices: best_of of each prompt, each with its room and its seed.
absl::Status FillChoices(GatewayContext& context, GenerationJob* job) {
  const LengthLimits limits = {.max_model_len = job->model.max_model_len,
                               .max_input_len = job->model.max_input_len,
                               .overflow = context.options.max_tokens_overflow};
  const int64_t seed = job->params.seed.value_or(NewSeed());
  std::vector<GenerationSpec::Choice> choices;
  for (GenerationSpec::Choice& prompt : job->spec.choices) {
    if (prompt.prompt_token_ids.empty()) {
      return InvalidParam(job->prompt_param, "the prompt has no tokens");
    }
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
  spec->priority = params.priority;
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
  if (context.options.verbatim_whitespace) {
    spec->output.whitespace = tokenizer::Whitespace::kVerbatim;
  }
}

// Names come from the client: only harmless ones are repeated, and not without end; the others are
// counted: "a,b,+2 more".
std::string IgnoredParamsHeader(const std::vector<std::string>& names) {
  std::string value;
  int unnamed = 0;
  for (const std::string& name : names) {
    const bool harmless =
        !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
          return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
        });
    if (!harmless || value.size() + name.size() > kMaxIgnoredHeaderBytes) {
      ++unnamed;
    } else {
      absl::StrAppend(&value, value.empty() ? "" : ",", name);
    }
  }
  if (unnamed > 0) absl::StrAppend(&value, value.empty() ? "+" : ",+", unnamed, " more");
  return value;
}

void AddHeaders(const Answer& answer, const GenerationParams& params, HttpResponse* response) {
  HttpHeaders& headers = response->headers;
  headers.emplace_back("X-Prompt-Tokens", absl::StrCat(answer.header.prompt_tokens));
  headers.emplace_back("X-Max-Tokens-Effective", absl::StrCat(answer.max_tokens));
  const std::string ignored = IgnoredParamsHeader(params.ignored);
  if (!ignored.empty()) headers.emplace_back("X-Ignored-Params", ignored);
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

// Notes how it ended, for the metrics and the log line.
void Conclude(Answer& answer, const absl::Status& status) {
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

// Writes the answer as it comes. Whatever happens, it ends in one of two ways: that of answers
// whose choices all have finished, or that of errors.
absl::Status Stream(Answer& answer, StreamEncoder& encoder, BodySink& sink) {
  std::string out;
  encoder.Begin(&out);
  for (;;) {
    if (!out.empty() && !sink.Write(out)) {
      return absl::CancelledError("the client is gone or reads nothing");
    }
    out.clear();
    absl::StatusOr<std::vector<GenerationEvent>> events = answer.generation->Next();
    if (!events.ok()) {
      if (!absl::IsCancelled(events.status())) {
        encoder.Fail(events.status(), &out);
        sink.Write(out);
      }
      return events.status();
    }
    if (events->empty()) break;
    for (const GenerationEvent& event : *events) encoder.Encode(event, &out);
  }
  encoder.End(TotalUsage(answer), &out);
  if (!sink.Write(out)) return absl::CancelledError("the client is gone or reads nothing");
  return absl::OkStatus();
}

absl::Status Collect(Answer& answer, WholeEncoder& encoder) {
  for (;;) {
    VALLM_ASSIGN_OR_RETURN(const std::vector<GenerationEvent> events, answer.generation->Next());
    if (events.empty()) return absl::OkStatus();
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
    header.prompt_tokens += static_cast<int64_t>(job.spec.choices[i].prompt_token_ids.size());
  }
  header.best_of = job.params.best_of;
  header.n = job.params.n;
  header.echo_texts = job.echo_texts;
  header.include_usage = job.params.include_usage || context.options.force_include_usage;
  header.continuous_usage = job.params.continuous_usage_stats;
  return header;
}

}  // namespace

HttpResponse RunGeneration(GatewayContext& context, const HttpRequest& request, GenerationJob job,
                           RequestGate::Place place) {
  if (absl::Status status = FillChoices(context, &job); !status.ok())
    return job.error_response(status);
  FillParameters(context, job.params, !job.echo_texts.empty(), &job.spec);
  if (absl::Status status = AddBadWords(context.tokenizer, job.params.bad_words, request.request_id,
                                        &job.spec.sampling);
      !status.ok()) {
    return job.error_response(status);
  }
  auto answer = std::make_shared<Answer>(context, std::move(place));
  answer->header = MakeHeader(context, job);
  answer->header.logprobs = job.params.top_logprobs.has_value();
  answer->header.prompt_logprobs = job.params.prompt_logprobs.has_value();
  absl::StatusOr<std::shared_ptr<const TokenTexts>> token_texts =
      context.GetTokenTexts(request.request_id);
  if (!token_texts.ok()) return job.error_response(token_texts.status());
  answer->header.token_texts = *token_texts;
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
  // Asked by the generation, which the answer owns.
  auto keep_going = [&context, &asked = *answer, client_gone = request.client_gone] {
    asked.trace->Report(asked.generation->stats());
    if (client_gone()) return absl::CancelledError("the client closed the connection");
    if (context.stopping) return absl::UnavailableError("the server is shutting down");
    return absl::OkStatus();
  };
  answer->generation = std::make_unique<Generation>(context.pool, *std::move(token_texts),
                                                    context.metrics, context.options.generation,
                                                    std::move(job.spec), std::move(keep_going));

  HttpResponse response;
  absl::Status status = answer->generation->Start();
  if (status.ok() && job.params.stream) {
    std::shared_ptr<StreamEncoder> encoder = job.stream_encoder(answer->header);
    answer->listing.emplace(
        context.live_answers.Add(answer->header.id, answer->generation->pipelines()));
    AddHeaders(*answer, job.params, &response);
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.headers.emplace_back("X-Accel-Buffering", "no");
    response.content_type = "text/event-stream";
    response.record = answer->record;
    response.stream = [answer, encoder](BodySink& sink) {
      Conclude(*answer, Stream(*answer, *encoder, sink));
      answer->listing.reset();
      answer->generation.reset();
    };
    return response;
  }
  std::unique_ptr<WholeEncoder> encoder = job.whole_encoder(answer->header);
  if (status.ok()) status = Collect(*answer, *encoder);
  if (job.params.constraint) status = NameTheConstraint(status, *job.params.constraint);
  status = NameTheThinking(status, job.params.thinking);
  if (status.ok()) {
    response.body = encoder->Body(TotalUsage(*answer));
  } else {
    response = job.error_response(status);
  }
  AddHeaders(*answer, job.params, &response);
  Conclude(*answer, status);
  response.record = answer->record;
  return response;
}

}  // namespace vallm::gateway
