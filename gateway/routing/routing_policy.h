// Which of the instances that could take a request now is the best: the rule that slot_board.h
// asks.
//
// A policy gives every candidate a score and the highest wins, the first of equals; candidates come
// in the order of turns. So a decision can be explained by the same numbers that made it.
//
// Decisions only. Not thread-safe.
#ifndef VALLM_GATEWAY_ROUTING_ROUTING_POLICY_H_
#define VALLM_GATEWAY_ROUTING_ROUTING_POLICY_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "gateway/routing/prompt_blocks.h"

namespace vallm::gateway {

enum class RoutingPolicyKind {
  kPrefixAware,  // the longest prefix that should be cached, against the load
  kLeastLoad,    // the fewest requests; equals in turn
  kRoundRobin,   // in turn
  kPowerOfTwo,   // the less loaded of two drawn at random
};

// "prefix_aware", "least_load", "round_robin" or "power_of_two".
const char* NameOf(RoutingPolicyKind kind);
// The kind of that name; prefix_aware for anything else.
RoutingPolicyKind RoutingPolicyOf(std::string_view name);

struct RoutingPolicyOptions {
  RoutingPolicyKind kind = RoutingPolicyKind::kPrefixAware;
  // What prefix_aware takes off for load, in prompts that are cached as a whole, per batch that an
  // instance is fuller than the emptiest; > 0. With 2 a cached prompt is worth half a batch.
  double load_weight = 2;
  uint64_t seed = 1;  // of power_of_two's dice
};

// An instance with a free slot.
struct Candidate {
  int instance = 0;
  int load = 0;   // requests there, those just sent included
  int limit = 1;  // requests it runs at once
};

struct CandidateScore {
  double score = 0;
  int64_t matched_tokens = 0;  // of the prompt, expected to be cached there
};

class RoutingPolicy {
 public:
  virtual ~RoutingPolicy() = default;

  // One score per candidate. `prompt` may be null.
  virtual std::vector<CandidateScore> Score(absl::Span<const Candidate> candidates,
                                            const PromptBlocks* prompt) = 0;

  // What happens to instances. A request was sent there:
  virtual void OnDispatch(int /*instance*/, const PromptBlocks* /*prompt*/) {}
  // It has so many KV blocks.
  virtual void OnCapacity(int /*instance*/, int64_t /*blocks*/) {}
  // Its prefix cache is empty.
  virtual void OnCacheLost(int /*instance*/) {}
  virtual void OnRemoved(int /*instance*/) {}

  // Blocks of prompts recorded for it.
  virtual int64_t recorded_blocks(int /*instance*/) const { return 0; }
};

std::unique_ptr<RoutingPolicy> NewRoutingPolicy(const RoutingPolicyOptions& options);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_ROUTING_POLICY_H_
