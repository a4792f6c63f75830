// The longest cached prefix against the load:
//
//   score = matched tokens / prompt tokens - load_weight * (fullness - that of the emptiest)
//
// where fullness is load / limit. A prompt that is cached as a whole is worth 1 / load_weight of a
// batch, and no prefix is worth more: an instance that is fuller than the emptiest candidate by
// more than that is never chosen. A prefix that everybody asks for is therefore soon cached in
// several places, and the load of an instance never runs away from the others'.
//
// Load is what the instance reports plus what was sent there since, so a burst does not pile up
// on one instance while reports are under way.
//
// What is cached is known from what was sent (prefix_record.h). Not thread-safe.
#ifndef VALLM_GATEWAY_ROUTING_PREFIX_AWARE_POLICY_H_
#define VALLM_GATEWAY_ROUTING_PREFIX_AWARE_POLICY_H_

#include <map>
#include <vector>

#include "gateway/routing/prefix_record.h"
#include "gateway/routing/routing_policy.h"

namespace vallm::gateway {

class PrefixAwarePolicy final : public RoutingPolicy {
 public:
  explicit PrefixAwarePolicy(double load_weight) : load_weight_(load_weight) {}

  std::vector<CandidateScore> Score(absl::Span<const Candidate> candidates,
                                    const PromptBlocks* prompt) override;
  void OnDispatch(int instance, const PromptBlocks* prompt) override;
  void OnCapacity(int instance, int64_t blocks) override;
  void OnCacheLost(int instance) override;
  void OnRemoved(int instance) override;
  int64_t recorded_blocks(int instance) const override;

 private:
  PrefixRecord& RecordOf(int instance);

  const double load_weight_;
  std::map<int, int64_t> capacities_;  // of instances that have said it
  std::map<int, PrefixRecord> records_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_PREFIX_AWARE_POLICY_H_
