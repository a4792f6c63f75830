// When thoughts end early: by the request's own options and by EndThinking.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/engine.h"

namespace vallm::engine {
namespace {

absl::Status CheckNotNegative(const char* field, std::optional<int32_t> value) {
  if (value.value_or(0) >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("thinking.", field, " is ", *value, "; it must be at least 0"));
}

// A constraint says where the output begins; otherwise the prompt does.
ThoughtPhase StartBehind(std::span<const int32_t> prompt, const ThoughtTokens& tokens,
                         std::optional<ConstraintStart::Phase> constraint_start) {
  if (!constraint_start.has_value()) return tokens.PhaseBehind(prompt);
  switch (*constraint_start) {
    case ConstraintStart::Phase::kAnswer:
      break;
    case ConstraintStart::Phase::kMaybeThinking:
      return ThoughtPhase::kMaybeThinking;
    case ConstraintStart::Phase::kThinking:
      return ThoughtPhase::kThinking;
  }
  return ThoughtPhase::kAnswer;
}

ThoughtCloser NewCloser(std::shared_ptr<const ThoughtTokens> tokens,
                        std::span<const int32_t> prompt, const ThinkingOptions& options,
                        std::optional<ConstraintStart::Phase> constraint_start) {
  const ThoughtPhase start = StartBehind(prompt, *tokens, constraint_start);
  return ThoughtCloser(
      std::move(tokens), start,
      {.token_budget = options.token_budget, .stops_at_close = constraint_start.has_value()});
}

absl::Status Unknown(const std::string& request_id) {
  return absl::NotFoundError(absl::StrCat("no live request has the id \"", request_id, "\""));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ThoughtCloser>> Engine::MakeCloser(
    const ThinkingOptions& options, std::span<const int32_t> prompt,
    std::optional<ConstraintStart::Phase> constraint_start) {
  VALLM_RETURN_IF_ERROR(CheckNotNegative("token_budget", options.token_budget));
  VALLM_RETURN_IF_ERROR(CheckNotNegative("end_position", options.end_position));
  if (!options.token_budget.has_value() && !options.end_position.has_value()) return nullptr;
  auto tokens = thought_tokens_.Get();
  if (!tokens.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("thinking: ", tokens.status().message()));
  }
  return std::make_unique<ThoughtCloser>(
      NewCloser(*std::move(tokens), prompt, options, constraint_start));
}

absl::StatusOr<int32_t> Engine::EndThinking(const std::string& request_id) {
  {
    MutexLock lock(mu_);
    if (!by_request_id_.contains(request_id)) return Unknown(request_id);
  }
  auto tokens = thought_tokens_.Get();  // without the lock: the first time it takes a while
  if (!tokens.ok()) return absl::FailedPreconditionError(tokens.status().message());
  MutexLock lock(mu_);
  const auto found = by_request_id_.find(request_id);
  if (found == by_request_id_.end()) return Unknown(request_id);
  Request& request = requests_.at(found->second);
  if (request.thinking.end_position.has_value()) return *request.thinking.end_position;
  const Sequence& sequence = *scheduler_.Find(found->second);
  // Not the request's own closer, which is the engine's thread's.
  ThoughtCloser closer =
      NewCloser(*tokens, sequence.spec.prompt_ids, request.thinking, request.constraint_start);
  closer.ForcedBehind(sequence.output_ids, /*end_position=*/std::nullopt);
  if (closer.phase() == ThoughtPhase::kAnswer) {
    return absl::FailedPreconditionError(
        absl::StrCat("request \"", request_id, "\" is not thinking: its answer has begun"));
  }
  // What the step under way decides, it decides without knowing of this.
  const int32_t position = sequence.output_count() + request.tokens_under_way;
  request.thinking.end_position = position;
  if (request.closer == nullptr) {
    request.closer = std::make_unique<ThoughtCloser>(
        NewCloser(*tokens, sequence.spec.prompt_ids, request.thinking, request.constraint_start));
  }
  return position;
}

}  // namespace vallm::engine
