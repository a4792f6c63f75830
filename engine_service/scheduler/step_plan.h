// A step that the scheduler decided on, with the memory that its Step views.
#ifndef VALLM_ENGINE_SERVICE_SCHEDULER_STEP_PLAN_H_
#define VALLM_ENGINE_SERVICE_SCHEDULER_STEP_PLAN_H_

#include <cstdint>
#include <vector>

#include "engine_service/model/step.h"
#include "engine_service/scheduler/sequence.h"

namespace vallm::engine {

// In the place of a token where there is none.
inline constexpr int32_t kNoToken = -1;

struct StepPlan {
  // A row of logits and the token it decides.
  struct Row {
    SequenceId sequence_id;
    int32_t output_position;  // 0 is the first output token of the request, resumed ones counted
    int32_t logit_row = 0;    // of the step
    // The token that the next row of the sequence supposes to be decided here: any other makes that
    // row void. kNoToken: there is none.
    int32_t guess = kNoToken;
  };
  // A row of logits that predicts a token of the prompt.
  struct PromptRow {
    SequenceId sequence_id;
    int32_t token_id;   // the prompt's, which it predicts
    int32_t logit_row;  // of the step
  };

  std::vector<int32_t> token_ids;
  std::vector<SequenceChunk> chunks;
  std::vector<int32_t> block_ids;
  std::vector<SequenceId> sequence_ids;  // [chunks]
  std::vector<Row> rows;                 // in the order of their logits
  std::vector<PromptRow> prompt_rows;    // likewise; with `rows` all that the step asks for
  std::vector<SequenceId> started;       // whose first step this is

  // Lives as long as the plan stays unchanged.
  Step view() const { return {token_ids, chunks, block_ids}; }
  bool empty() const { return chunks.empty(); }
  void Clear() { *this = {}; }
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SCHEDULER_STEP_PLAN_H_
