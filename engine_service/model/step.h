// One step of the model: which tokens of which sequences run through the forward pass together.
//
// The scheduler plans it, the executor carries it to every rank through shared memory, the model
// runs it. A Step is a view: it owns nothing, and what it views must outlive the call it is passed
// to. Plain data, trivially serialisable; no threading of its own.
#ifndef VALLM_ENGINE_SERVICE_MODEL_STEP_H_
#define VALLM_ENGINE_SERVICE_MODEL_STEP_H_

#include <cstdint>
#include <span>

namespace vallm::engine {

// A run of consecutive tokens of one sequence. A decode is a chunk of one token; a long prompt is
// several chunks in successive steps. The results do not depend on how a prompt is cut.
struct SequenceChunk {
  int32_t token_begin;     // index of the first token in Step::token_ids
  int32_t token_count;     // >= 1
  int32_t start_position;  // position of the first token in its sequence, from 0
  int32_t block_begin;     // index of the sequence's first KV block id in Step::block_ids
  int32_t block_count;     // blocks that cover positions [0, start_position + token_count)
  int32_t logit_count;     // the last `logit_count` tokens of the chunk want logits; usually 0 or 1
};

struct Step {
  std::span<const int32_t> token_ids;     // [tokens], all chunks one after the other
  std::span<const SequenceChunk> chunks;  // in batch order
  std::span<const int32_t> block_ids;     // block tables of all chunks one after the other
};

// Rows of logits that `step` asks for: chunk by chunk, in token order.
inline int64_t LogitRows(const Step& step) {
  int64_t rows = 0;
  for (const SequenceChunk& chunk : step.chunks) rows += chunk.logit_count;
  return rows;
}

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_STEP_H_
