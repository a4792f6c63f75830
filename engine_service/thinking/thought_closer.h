// Ends the thought of one request when its time is up: says which token must come next, if any.
//
//   ThoughtCloser closer(tokens, tokens->PhaseBehind(prompt), {.token_budget = 100});
//   if (const auto id = closer.ForcedBehind(output, end_position)) ... *id comes, whatever the
//   model says ... else sample.
//
// A function of the request and its output: it makes no difference whether that was generated here,
// resumed at any place, or computed again. A thought that the model closes itself is left alone,
// and so is <think> in an answer.
//
// Pure. Not thread-safe.
#ifndef VALLM_ENGINE_SERVICE_THINKING_THOUGHT_CLOSER_H_
#define VALLM_ENGINE_SERVICE_THINKING_THOUGHT_CLOSER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "engine_service/thinking/thought_tokens.h"

namespace vallm::engine {

class ThoughtCloser {
 public:
  struct Options {
    // Tokens of the thought after which it is closed; >= 0. Absent: no limit.
    std::optional<int32_t> token_budget = {};
    // Nothing is forced behind </think>: a constraint holds what follows.
    bool stops_at_close = false;
  };

  ThoughtCloser(std::shared_ptr<const ThoughtTokens> tokens, ThoughtPhase start, Options options);

  // The token that must follow `output`, if one must. `end_position`: the position in the output
  // from which on a thought is closed, however short; >= 0.
  // REQUIRES: `output` begins with what it was in the call before, and so does what an earlier
  // end_position said: it may appear between two calls, at or behind the end of `output`, and
  // stays. Cost: constant per token since then.
  std::optional<int32_t> ForcedBehind(std::span<const int32_t> output,
                                      std::optional<int32_t> end_position);

  // Behind the output of the last call. The closing text is part of the thought to its end.
  ThoughtPhase phase() const { return phase_; }

 private:
  // Whether the thought, if it is open, must be closed from `position` on.
  bool IsDue(size_t position, std::optional<int32_t> end_position) const;
  void Follow(int32_t token, bool due);

  const std::shared_ptr<const ThoughtTokens> tokens_;
  const Options options_;
  const std::span<const int32_t> closing_;  // what is forced
  ThoughtPhase phase_;
  size_t followed_ = 0;        // tokens of the output seen
  int64_t thought_count_ = 0;  // of these, in the thought
  size_t closing_count_ = 0;   // leading tokens of closing_ that the output ends with, once due
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_THINKING_THOUGHT_CLOSER_H_
