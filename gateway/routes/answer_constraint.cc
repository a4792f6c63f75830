#include "gateway/routes/answer_constraint.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gateway/openai/errors.h"

namespace vallm::gateway {
namespace {

v1::ConstraintStart StartOf(const GenerationSpec& spec) {
  if (spec.output.reasoning_parser.empty()) return v1::CONSTRAINT_START_ANSWER;
  // All choices of a request with a think state have the same prompt.
  switch (spec.choices.front().prompt_think_state) {
    case tokenizer::PromptThinkState::kOpen:
      return v1::CONSTRAINT_START_THINKING;
    case tokenizer::PromptThinkState::kNone:
      return v1::CONSTRAINT_START_MAYBE_THINKING;
    case tokenizer::PromptThinkState::kClosed:
    case tokenizer::PromptThinkState::kUnaware:
      break;
  }
  return v1::CONSTRAINT_START_ANSWER;
}

}  // namespace

void FillConstraint(const AnswerConstraint& constraint, GenerationSpec* spec) {
  v1::OutputConstraint& to = spec->constraint.emplace();
  to.set_start(StartOf(*spec));
  if (!constraint.tools.empty()) {
    const bool only_calls = constraint.kind == AnswerConstraint::Kind::kToolCalls;
    auto& calls = only_calls ? *to.mutable_tool_calls() : *to.mutable_alternative_tool_calls();
    calls.set_tools_json(constraint.tools);
    calls.set_name(constraint.tool_name);
    calls.set_single(constraint.single_call);
  }
  switch (constraint.kind) {
    case AnswerConstraint::Kind::kJsonObject:
      to.set_json_object(true);
      return;
    case AnswerConstraint::Kind::kJsonSchema:
      to.set_json_schema(constraint.text);
      return;
    case AnswerConstraint::Kind::kRegex:
      to.set_regex(constraint.text);
      return;
    case AnswerConstraint::Kind::kChoice:
      to.mutable_choice()->mutable_texts()->Add(constraint.choices.begin(),
                                                constraint.choices.end());
      return;
    case AnswerConstraint::Kind::kGrammar:
      to.set_grammar(constraint.text);
      return;
    case AnswerConstraint::Kind::kToolCalls:
      return;
  }
}

absl::Status NameTheConstraint(const absl::Status& status, const AnswerConstraint& constraint) {
  absl::string_view why = status.message();
  if (!absl::IsInvalidArgument(status) || !absl::ConsumePrefix(&why, "constraint: ")) return status;
  return InvalidParam(constraint.param, absl::StrCat("'", constraint.param, "': ", why));
}

}  // namespace vallm::gateway
