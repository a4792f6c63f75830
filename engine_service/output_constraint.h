// The constraint of one request while it runs: follows the output and says what may come next.
//
// Made anywhere, then used by one thread at a time together with all others of its grammar. A
// function of the output: it makes no difference whether that was generated here or resumed.
#ifndef VALLM_ENGINE_SERVICE_OUTPUT_CONSTRAINT_H_
#define VALLM_ENGINE_SERVICE_OUTPUT_CONSTRAINT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/constraint/matcher.h"
#include "engine_service/sampling/logits_processors.h"

namespace vallm::engine {

class OutputConstraint {
 public:
  // Where the output begins: with the answer, perhaps with a thought, inside of one. Errors:
  // INVALID_ARGUMENT inside of a thought that the model has no </think> to close with.
  static absl::StatusOr<std::unique_ptr<OutputConstraint>> Create(
      std::shared_ptr<CompiledGrammar> grammar, ConstraintStart::Phase phase);

  // The tokens that may follow `output`; valid until the next call. REQUIRES: `output` begins with
  // what it was in the call before. Errors: INVALID_ARGUMENT if `output` breaks the constraint
  // (resumed tokens), and those of Matcher::FillMask.
  absl::StatusOr<TokenMask> MaskBehind(std::span<const int32_t> output);

 private:
  OutputConstraint(Matcher matcher, int mask_size);

  Matcher matcher_;
  size_t followed_ = 0;  // tokens of the output that matcher_ has seen
  std::vector<uint64_t> mask_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_OUTPUT_CONSTRAINT_H_
