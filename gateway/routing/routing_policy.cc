#include "gateway/routing/routing_policy.h"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "gateway/routing/prefix_aware_policy.h"

namespace vallm::gateway {
namespace {

constexpr std::array<std::pair<RoutingPolicyKind, const char*>, 4> kNames = {{
    {RoutingPolicyKind::kPrefixAware, "prefix_aware"},
    {RoutingPolicyKind::kLeastLoad, "least_load"},
    {RoutingPolicyKind::kRoundRobin, "round_robin"},
    {RoutingPolicyKind::kPowerOfTwo, "power_of_two"},
}};

// The first in turn is the first of equals.
class RoundRobin final : public RoutingPolicy {
 public:
  std::vector<CandidateScore> Score(absl::Span<const Candidate> candidates,
                                    const PromptBlocks* /*prompt*/) override {
    return std::vector<CandidateScore>(candidates.size());
  }
};

class LeastLoad final : public RoutingPolicy {
 public:
  std::vector<CandidateScore> Score(absl::Span<const Candidate> candidates,
                                    const PromptBlocks* /*prompt*/) override {
    std::vector<CandidateScore> scores;
    for (const Candidate& candidate : candidates) {
      scores.push_back({.score = -static_cast<double>(candidate.load), .matched_tokens = 0});
    }
    return scores;
  }
};

// Those that were not drawn score as if they had one request more than any that were.
class PowerOfTwo final : public RoutingPolicy {
 public:
  explicit PowerOfTwo(uint64_t seed) : dice_(seed) {}

  std::vector<CandidateScore> Score(absl::Span<const Candidate> candidates,
                                    const PromptBlocks* /*prompt*/) override {
    const int count = static_cast<int>(candidates.size());
    std::array<int, 2> drawn = {0, 0};
    if (count > 1) {
      drawn[0] = std::uniform_int_distribution<>(0, count - 1)(dice_);
      drawn[1] = std::uniform_int_distribution<>(0, count - 2)(dice_);
      if (drawn[1] >= drawn[0]) ++drawn[1];
    }
    const int worst = std::max(candidates[drawn[0]].load, candidates[drawn[1]].load);
    std::vector<CandidateScore> scores(candidates.size(), {-static_cast<double>(worst) - 1, 0});
    for (const int index : drawn)
      scores[index].score = -static_cast<double>(candidates[index].load);
    return scores;
  }

 private:
  std::mt19937_64 dice_;
};

}  // namespace

const char* NameOf(RoutingPolicyKind kind) {
  const auto* name = std::find_if(kNames.begin(), kNames.end(),
                                  [kind](const auto& entry) { return entry.first == kind; });
  return name->second;
}

RoutingPolicyKind RoutingPolicyOf(std::string_view name) {
  const auto* kind = std::find_if(kNames.begin(), kNames.end(),
                                  [name](const auto& entry) { return entry.second == name; });
  return kind == kNames.end() ? RoutingPolicyKind::kPrefixAware : kind->first;
}

std::unique_ptr<RoutingPolicy> NewRoutingPolicy(const RoutingPolicyOptions& options) {
  switch (options.kind) {
    case RoutingPolicyKind::kLeastLoad:
      return std::make_unique<LeastLoad>();
    case RoutingPolicyKind::kRoundRobin:
      return std::make_unique<RoundRobin>();
    case RoutingPolicyKind::kPowerOfTwo:
      return std::make_unique<PowerOfTwo>(options.seed);
    case RoutingPolicyKind::kPrefixAware:
      break;
  }
  return std::make_unique<PrefixAwarePolicy>(options.load_weight);
}

}  // namespace vallm::gateway
