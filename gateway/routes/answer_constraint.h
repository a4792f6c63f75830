// What the client says of its answer, as the engine is told.
#ifndef VALLM_GATEWAY_ROUTES_ANSWER_CONSTRAINT_H_
#define VALLM_GATEWAY_ROUTES_ANSWER_CONSTRAINT_H_

#include "absl/status/status.h"
#include "gateway/generation/generation.h"
#include "gateway/openai/constraint_params.h"

namespace vallm::gateway {

// Sets spec->constraint. Where the answers begin is read off the prompts' think state; without a
// reasoning parser a thought would be content, and the constraint then leaves no room for one.
// REQUIRES: `spec` has its choices and its reasoning parser.
void FillConstraint(const AnswerConstraint& constraint, GenerationSpec* spec);

// Only the engine knows whether it can hold an answer to a constraint: where `status` is its
// refusal of the field "constraint", the refusal of the client's own parameter; else `status` as it
// is.
absl::Status NameTheConstraint(const absl::Status& status, const AnswerConstraint& constraint);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_ANSWER_CONSTRAINT_H_
