// What the sampler knows of one sequence besides its logits: how it is to be drawn and which tokens
// it has so far. A pure function of the parameters, the prompt and the output, so that a sequence
// that was resumed or recomputed has the state it would have had.
//
// Not thread-safe. Owned by whoever owns the request; the sampler borrows it.
#ifndef VALLM_ENGINE_SERVICE_SAMPLING_SAMPLING_STATE_H_
#define VALLM_ENGINE_SERVICE_SAMPLING_SAMPLING_STATE_H_

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine_service/sampling/params.h"

namespace vallm::engine {

class SamplingState {
 public:
  // A token that penalties look at. One that occurs in the prompt alone has count 0.
  struct Seen {
    int32_t token_id;
    int32_t output_count;
  };

  // `output` is what a resumed request has already. Cost: one pass over both; over the prompt only
  // when repetition_penalty needs it.
  SamplingState(SamplingParams params, std::span<const int32_t> prompt,
                std::span<const int32_t> output);

  // The sequence has got one more token.
  void Append(int32_t token_id);

  const SamplingParams& params() const { return params_; }
  std::span<const int32_t> output() const { return output_; }
  // Position of the next token in the output; what the draw is counted with.
  int64_t next_position() const { return static_cast<int64_t>(output_.size()); }
  // Each token of the output once, and of the prompt where repetition_penalty is on; in order of
  // first occurrence. Empty when no penalty is on.
  std::span<const Seen> seen() const { return seen_; }

 private:
  void Note(int32_t token_id, int32_t output_count);

  const SamplingParams params_;
  const bool penalized_;
  std::vector<int32_t> output_;
  std::vector<Seen> seen_;
  std::unordered_map<int32_t, size_t> index_;  // token id -> place in seen_
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_SAMPLING_STATE_H_
