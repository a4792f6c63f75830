// From the logits of a step to its tokens: what each row's request forces, allows and draws.
//
// Knows of a request only what its tasks say; what comes out depends on the row and its request
// alone. One thread at a time calls Decide, which shares the work among threads of its own.
#ifndef VALLM_ENGINE_SERVICE_STEP_DECIDER_H_
#define VALLM_ENGINE_SERVICE_STEP_DECIDER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "engine_service/output_constraint.h"
#include "engine_service/sampling/sampler.h"
#include "engine_service/sampling/sampling_state.h"
#include "engine_service/sampling_threads.h"
#include "engine_service/scheduler/step_plan.h"
#include "engine_service/thinking/thought_closer.h"

namespace vallm::engine {

// What to decide of a step. What is pointed at belongs to the requests, and is the decider's while
// Decide runs.
struct StepTasks {
  // A row that decides a token.
  struct Row {
    SamplingState* sampling;       // the token is appended to it
    OutputConstraint* constraint;  // null: none
    ThoughtCloser* closer;         // null: none
    std::optional<int32_t> thinking_end_position;
    std::optional<int32_t> top_logprobs;  // absent: no log-probabilities
  };
  // A row that scores a token of a prompt.
  struct PromptRow {
    int32_t token_id;
    int32_t top_logprobs;
  };

  std::vector<Row> rows;               // of StepPlan::rows
  std::vector<PromptRow> prompt_rows;  // of StepPlan::prompt_rows
};

struct StepResults {
  struct Row {
    // INTERNAL (the model's logits are not usable), INVALID_ARGUMENT (the request leaves no token,
    // or its constraint cannot go on).
    absl::Status status;
    int32_t token_id = kNoToken;  // also of a row that is void
    std::optional<PositionLogprobs> logprobs;
  };

  std::vector<Row> rows;
  std::vector<absl::StatusOr<PositionLogprobs>> prompt_rows;  // INTERNAL as above
};

class StepDecider {
 public:
  // REQUIRES: vocab_size >= 1, threads >= 1.
  StepDecider(int32_t vocab_size, int32_t threads);

  // The rows of one request are decided one after the other; the first that differs from its guess
  // voids those behind it. `logits`: [rows of the step, vocab] f32.
  // REQUIRES: `tasks` are of `plan`; CHECKed: each row is the next of its request.
  StepResults Decide(const StepPlan& plan, const StepTasks& tasks, std::span<const float> logits);

 private:
  StepResults::Row DecideRow(const StepTasks::Row& task, std::span<const float> logits,
                             Sampler& sampler);

  const size_t vocab_size_;
  SamplingThreads threads_;
  Mutex constraint_mu_;  // held while a constraint is asked: they share grammars
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_STEP_DECIDER_H_
