#include "engine_service/convert.h"

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  const int64_t nanos = absl::ToInt64Nanoseconds(duration);
  proto.set_seconds(nanos / 1'000'000'000);
  proto.set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  return proto;
}

absl::StatusOr<std::vector<int32_t>> PromptIds(const v1::GenerateRequest& request,
                                               const tokenizer::Tokenizer* tokenizer) {
  switch (request.prompt_case()) {
    case v1::GenerateRequest::kPromptTokenIds: {
      const auto& ids = request.prompt_token_ids().ids();
      return std::vector<int32_t>(ids.begin(), ids.end());
    }
    case v1::GenerateRequest::kText: {
      if (request.text().empty()) return absl::InvalidArgumentError("text is empty");
      if (tokenizer == nullptr) {
        return absl::UnimplementedError(
            "the model directory has no tokenizer.json: send prompt_token_ids");
      }
      auto ids = tokenizer->Encode(request.text());
      if (!ids.ok()) {
        return absl::InvalidArgumentError(absl::StrCat("text: ", ids.status().message()));
      }
      return ids;
    }
    case v1::GenerateRequest::PROMPT_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("the request has neither prompt_token_ids nor text");
}

SamplingOverrides FromProto(const v1::SamplingParams& sampling) {
  SamplingOverrides overrides;
  if (sampling.has_temperature()) overrides.temperature = sampling.temperature();
  if (sampling.has_top_p()) overrides.top_p = sampling.top_p();
  if (sampling.has_top_k()) overrides.top_k = sampling.top_k();
  if (sampling.has_seed()) overrides.seed = sampling.seed();
  if (sampling.has_min_p()) overrides.min_p = sampling.min_p();
  if (sampling.has_repetition_penalty()) {
    overrides.repetition_penalty = sampling.repetition_penalty();
  }
  if (sampling.has_presence_penalty()) overrides.presence_penalty = sampling.presence_penalty();
  if (sampling.has_frequency_penalty()) overrides.frequency_penalty = sampling.frequency_penalty();
  for (const auto& [token_id, bias] : sampling.logit_bias()) {
    overrides.logit_bias.push_back({token_id, bias});
  }
  for (const v1::TokenIds& word : sampling.bad_words()) {
    overrides.bad_words.emplace_back(word.ids().begin(), word.ids().end());
  }
  if (sampling.has_allowed_token_ids()) {
    const auto& ids = sampling.allowed_token_ids().ids();
    overrides.allowed_ids.emplace(ids.begin(), ids.end());
  }
  return overrides;
}

}  // namespace

void ToolCallsTo(const v1::OutputConstraint::ToolCalls& calls, ConstraintSpec& spec) {
  spec.tools = calls.tools_json();
  spec.tool_name = calls.name();
  spec.parallel_tool_calls = !calls.single();
}

absl::StatusOr<ConstraintSpec> SpecFromProto(const v1::OutputConstraint& constraint) {
  ConstraintSpec spec;
  if (constraint.has_alternative_tool_calls()) {
    if (constraint.has_tool_calls()) {
      return absl::InvalidArgumentError(
          "constraint.tool_calls and constraint.alternative_tool_calls exclude each other");
    }
    if (constraint.alternative_tool_calls().tools_json().empty()) {
      return absl::InvalidArgumentError("constraint.alternative_tool_calls.tools_json is empty");
    }
    ToolCallsTo(constraint.alternative_tool_calls(), spec);
  }
  switch (constraint.kind_case()) {
    case v1::OutputConstraint::kJsonObject:
      if (!constraint.json_object()) {
        return absl::InvalidArgumentError("constraint.json_object is false; it must be true");
      }
      spec.kind = ConstraintSpec::Kind::kJsonObject;
      return spec;
    case v1::OutputConstraint::kJsonSchema:
      spec.kind = ConstraintSpec::Kind::kJsonSchema;
      spec.text = constraint.json_schema();
      return spec;
    case v1::OutputConstraint::kRegex:
      spec.kind = ConstraintSpec::Kind::kRegex;
      spec.text = constraint.regex();
      return spec;
    case v1::OutputConstraint::kChoice:
      spec.kind = ConstraintSpec::Kind::kChoice;
      spec.choices.assign(constraint.choice().texts().begin(), constraint.choice().texts().end());
      return spec;
    case v1::OutputConstraint::kGrammar:
      spec.kind = ConstraintSpec::Kind::kGrammar;
      spec.text = constraint.grammar();
      return spec;
    case v1::OutputConstraint::kToolCalls:
      spec.kind = ConstraintSpec::Kind::kTools;
      ToolCallsTo(constraint.tool_calls(), spec);
      return spec;
    case v1::OutputConstraint::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("constraint has no kind that this version knows");
}

absl::StatusOr<RequestConstraint> FromProto(const v1::OutputConstraint& constraint) {
  RequestConstraint result;
  VALLM_ASSIGN_OR_RETURN(result.spec, SpecFromProto(constraint));
  switch (constraint.start()) {
    case v1::CONSTRAINT_START_UNSPECIFIED:
    case v1::CONSTRAINT_START_ANSWER:
      return result;
    case v1::CONSTRAINT_START_MAYBE_THINKING:
      result.start = ConstraintStart::Phase::kMaybeThinking;
      return result;
    case v1::CONSTRAINT_START_THINKING:
      result.start = ConstraintStart::Phase::kThinking;
      return result;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("constraint.start is ", static_cast<int>(constraint.start()),
                       "; this version knows ANSWER (1), MAYBE_THINKING (2) and THINKING (3)"));
  }
}

void AppendTo(const std::vector<PositionLogprobs>& positions,
              google::protobuf::RepeatedPtrField<v1::TokenLogprobs>& to) {
  for (const PositionLogprobs& position : positions) {
    v1::TokenLogprobs& logprobs = *to.Add();
    logprobs.set_logprob(position.logprob);
    logprobs.set_rank(position.rank);
    for (const TokenLogprob& token : position.top) {
      v1::TokenLogprob& top = *logprobs.add_top();
      top.set_token_id(token.token_id);
      top.set_logprob(token.logprob);
    }
  }
}

template <typename Message>
void AppendTo(const TokenBatch& tokens, Message& to) {
  to.mutable_token_ids()->Add(tokens.token_ids.begin(), tokens.token_ids.end());
  AppendTo(tokens.logprobs, *to.mutable_logprobs());
  AppendTo(tokens.prompt_logprobs, *to.mutable_prompt_logprobs());
}

template <typename Message>
void CompletionTo(const Completion& completion, Message& to) {
  to.set_finish_reason(ToProto(completion.reason));
  *to.mutable_usage() = ToProto(completion.usage);
  if (completion.stop_id.has_value()) to.set_stop_token_id(*completion.stop_id);
}

v1::InstanceState ToProto(EngineState state) {
  switch (state) {
    case EngineState::kServing:
      return v1::INSTANCE_STATE_SERVING;
    case EngineState::kRestarting:
      return v1::INSTANCE_STATE_RESTARTING;
    case EngineState::kDraining:
      return v1::INSTANCE_STATE_DRAINING;
    case EngineState::kLoading:
    case EngineState::kFailed:  // the process is about to exit
      break;
  }
  return v1::INSTANCE_STATE_LOADING;
}

PromptLookupOverrides FromProto(const v1::Speculation& speculation) {
  PromptLookupOverrides overrides;
  if (speculation.has_num_speculative_tokens()) {
    overrides.num_tokens = speculation.num_speculative_tokens();
  }
  if (speculation.has_prompt_lookup_max()) overrides.max_length = speculation.prompt_lookup_max();
  if (speculation.has_prompt_lookup_min()) overrides.min_length = speculation.prompt_lookup_min();
  return overrides;
}

absl::StatusOr<GenerationRequest> FromProto(const v1::GenerateRequest& request,
                                            const tokenizer::Tokenizer* tokenizer) {
  GenerationRequest result;
  result.request_id = request.request_id();
  VALLM_ASSIGN_OR_RETURN(result.prompt_ids, PromptIds(request, tokenizer));
  result.sampling = FromProto(request.sampling());
  const v1::StopConditions& stop = request.stop();
  if (stop.has_max_tokens()) result.max_tokens = stop.max_tokens();
  result.min_tokens = stop.min_tokens();
  result.stop_ids.assign(stop.stop_token_ids().begin(), stop.stop_token_ids().end());
  switch (stop.eos_mode()) {
    case v1::EOS_MODE_UNSPECIFIED:
    case v1::EOS_MODE_STOP:
      break;
    case v1::EOS_MODE_IGNORE:
      result.ignore_eos = true;
      break;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("stop.eos_mode is ", static_cast<int>(stop.eos_mode()),
                       "; this version knows STOP (1) and IGNORE (2)"));
  }
  result.resumed_ids.assign(request.resume_token_ids().begin(), request.resume_token_ids().end());
  if (request.has_constraint()) {
    VALLM_ASSIGN_OR_RETURN(result.constraint, FromProto(request.constraint()));
  }
  if (request.thinking().has_token_budget()) {
    result.thinking.token_budget = request.thinking().token_budget();
  }
  if (request.thinking().has_end_position()) {
    result.thinking.end_position = request.thinking().end_position();
  }
  if (request.has_speculation()) result.speculation = FromProto(request.speculation());
  result.cache_salt = request.cache_salt();
  result.priority = request.priority();
  if (request.has_logprobs()) result.top_logprobs = request.logprobs().top_count();
  if (request.has_prompt_logprobs()) {
    result.prompt_top_logprobs = request.prompt_logprobs().top_count();
  }
  return result;
}

v1::FinishReason ToProto(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return v1::FINISH_REASON_STOP;
    case FinishReason::kLength:
      return v1::FINISH_REASON_LENGTH;
    case FinishReason::kAbort:
      return v1::FINISH_REASON_ABORT;
  }
  return v1::FINISH_REASON_UNSPECIFIED;
}

v1::Usage ToProto(const Usage& usage) {
  v1::Usage proto;
  proto.set_prompt_token_count(usage.prompt_tokens);
  proto.set_cached_token_count(usage.cached_tokens);
  proto.set_completion_token_count(usage.completion_tokens);
  proto.set_draft_token_count(usage.draft_tokens);
  proto.set_accepted_draft_token_count(usage.accepted_draft_tokens);
  *proto.mutable_queue_time() = ToProto(usage.queue_time);
  *proto.mutable_prefill_time() = ToProto(usage.prefill_time);
  *proto.mutable_decode_time() = ToProto(usage.decode_time);
  return proto;
}

v1::ModelInfo ToProto(const ModelInfo& info) {
  v1::ModelInfo proto;
  proto.set_model_path(info.model_path);
  proto.set_architecture(info.architecture);
  proto.set_vocab_size(info.vocab_size);
  proto.set_max_model_len(info.max_model_len);
  proto.set_max_input_len(info.max_input_len);
  proto.set_max_batch_size(info.max_batch_size);
  proto.set_max_queue_size(info.max_queue_size);
  proto.mutable_eos_token_ids()->Add(info.eos_ids.begin(), info.eos_ids.end());
  v1::SamplingParams& sampling = *proto.mutable_default_sampling();
  sampling.set_temperature(info.default_sampling.temperature);
  sampling.set_top_p(info.default_sampling.top_p);
  sampling.set_top_k(info.default_sampling.top_k);
  sampling.set_min_p(info.default_sampling.min_p);
  sampling.set_repetition_penalty(info.default_sampling.repetition_penalty);
  sampling.set_presence_penalty(info.default_sampling.presence_penalty);
  sampling.set_frequency_penalty(info.default_sampling.frequency_penalty);
  proto.set_tensor_parallel_size(info.tensor_parallel_size);
  proto.set_device(info.device);
  proto.set_kv_cache_token_count(info.kv_cache_tokens);
  proto.set_fingerprint(info.fingerprint);
  return proto;
}

v1::Load ToProto(const EngineLoad& load) {
  v1::Load proto;
  proto.set_running_count(load.running);
  proto.set_waiting_count(load.waiting);
  proto.set_max_batch_size(load.max_batch_size);
  proto.set_free_kv_block_count(load.free_kv_blocks);
  proto.set_total_kv_block_count(load.total_kv_blocks);
  proto.set_cached_kv_block_count(load.cached_kv_blocks);
  proto.set_prefix_queried_token_count(load.counters.prefix_queried_tokens);
  proto.set_prefix_hit_token_count(load.counters.prefix_hit_tokens);
  proto.set_preemption_count(load.counters.preemptions);
  proto.set_draft_count(load.counters.drafts);
  proto.set_draft_token_count(load.counters.draft_tokens);
  proto.set_accepted_draft_token_count(load.counters.accepted_draft_tokens);
  proto.set_tokens_per_second(load.tokens_per_second);
  proto.set_state(ToProto(load.state));
  proto.set_generated_token_count(load.generated_tokens);
  proto.set_prompt_token_count(load.prompt_tokens);
  if (load.loading.total_bytes > 0) {
    proto.set_loaded_weight_bytes(load.loading.done_bytes);
    proto.set_total_weight_bytes(load.loading.total_bytes);
  }
  return proto;
}

void AppendTokens(const TokenBatch& tokens, v1::GenerateChunk& to) { AppendTo(tokens, to); }
void AppendTokens(const TokenBatch& tokens, v1::GenerateResponse& to) { AppendTo(tokens, to); }
void SetCompletion(const Completion& completion, v1::GenerateChunk& to) {
  CompletionTo(completion, to);
}
void SetCompletion(const Completion& completion, v1::GenerateResponse& to) {
  CompletionTo(completion, to);
}

}  // namespace vallm::engine
