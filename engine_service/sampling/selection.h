// Partial selection over a vocabulary: the best few of many logits without sorting the rest.
#ifndef VALLM_ENGINE_SERVICE_SAMPLING_SELECTION_H_
#define VALLM_ENGINE_SERVICE_SAMPLING_SELECTION_H_

#include <cstdint>
#include <span>
#include <vector>

namespace vallm::engine {

struct ScoredToken {
  int32_t token_id;
  float logit;

  // "Better": higher logit, and the lower id on a tie. A total order when no logit is NaN.
  bool Beats(const ScoredToken& other) const {
    return logit > other.logit || (logit == other.logit && token_id < other.token_id);
  }
  bool operator==(const ScoredToken&) const = default;
};

// Replaces `best` by the min(count, logits.size()) best tokens, best first.
// REQUIRES: count >= 1, no NaN. Cost: one pass plus O(count log count).
void SelectBest(std::span<const float> logits, int64_t count, std::vector<ScoredToken>& best);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_SELECTION_H_
