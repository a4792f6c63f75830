#include "engine_service/output_constraint.h"

#include <utility>

#include "common/status_macros.h"

namespace vallm::engine {

OutputConstraint::OutputConstraint(Matcher matcher, int mask_size)
    : matcher_(std::move(matcher)), mask_(MaskWords(mask_size)) {}

absl::StatusOr<std::unique_ptr<OutputConstraint>> OutputConstraint::Create(
    std::shared_ptr<CompiledGrammar> grammar, ConstraintStart::Phase phase) {
  const ConstraintVocabulary& vocabulary = grammar->vocabulary();
  ConstraintStart start = {.phase = phase,
                           .think_open = vocabulary.AddedToken("<think>").value_or(-1),
                           .think_close = vocabulary.AddedToken("</think>").value_or(-1)};
  const bool can_think = start.think_open >= 0 && start.think_close >= 0;
  if (phase == ConstraintStart::Phase::kThinking && !can_think) {
    return absl::InvalidArgumentError(
        "constraint.start is THINKING, but the model has no token </think>");
  }
  // A model without these tokens does not think.
  if (!can_think) start.phase = ConstraintStart::Phase::kAnswer;
  const int mask_size = vocabulary.mask_size();
  return std::unique_ptr<OutputConstraint>(
      new OutputConstraint(Matcher(std::move(grammar), start), mask_size));
}

absl::StatusOr<TokenMask> OutputConstraint::MaskBehind(std::span<const int32_t> output) {
  for (; followed_ < output.size(); ++followed_) {
    VALLM_RETURN_IF_ERROR(matcher_.Accept(output[followed_]));
  }
  VALLM_RETURN_IF_ERROR(matcher_.FillMask(mask_));
  return TokenMask(mask_);
}

}  // namespace vallm::engine
