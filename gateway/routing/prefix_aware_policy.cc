#include "gateway/routing/prefix_aware_policy.h"

#include <algorithm>
#include <limits>

namespace vallm::gateway {
namespace {

double FullnessOf(const Candidate& candidate) {
  return static_cast<double>(candidate.load) / candidate.limit;
}

}  // namespace

std::vector<CandidateScore> PrefixAwarePolicy::Score(absl::Span<const Candidate> candidates,
                                                     const PromptBlocks* prompt) {
  double emptiest = std::numeric_limits<double>::infinity();
  for (const Candidate& candidate : candidates) {
    emptiest = std::min(emptiest, FullnessOf(candidate));
  }
  std::vector<CandidateScore> scores;
  for (const Candidate& candidate : candidates) {
    CandidateScore score;
    const auto record = records_.find(candidate.instance);
    if (prompt != nullptr && prompt->token_count > 0 && record != records_.end()) {
      score.matched_tokens = record->second.MatchedTokens(*prompt);
      score.score =
          static_cast<double>(score.matched_tokens) / static_cast<double>(prompt->token_count);
    }
    score.score -= load_weight_ * (FullnessOf(candidate) - emptiest);
    scores.push_back(score);
  }
  return scores;
}

PrefixRecord& PrefixAwarePolicy::RecordOf(int instance) {
  const auto capacity = capacities_.find(instance);
  const int64_t blocks =
      capacity == capacities_.end() ? std::numeric_limits<int64_t>::max() : capacity->second;
  return records_.try_emplace(instance, blocks).first->second;
}

void PrefixAwarePolicy::OnDispatch(int instance, const PromptBlocks* prompt) {
  if (prompt != nullptr) RecordOf(instance).Add(*prompt);
}

void PrefixAwarePolicy::OnCapacity(int instance, int64_t blocks) {
  capacities_[instance] = blocks;
  if (const auto record = records_.find(instance); record != records_.end()) {
    record->second.SetCapacity(blocks);
  }
}

void PrefixAwarePolicy::OnCacheLost(int instance) { records_.erase(instance); }

void PrefixAwarePolicy::OnRemoved(int instance) {
  records_.erase(instance);
  capacities_.erase(instance);
}

int64_t PrefixAwarePolicy::recorded_blocks(int instance) const {
  const auto record = records_.find(instance);
  return record == records_.end() ? 0 : record->second.block_count();
}

}  // namespace vallm::gateway
