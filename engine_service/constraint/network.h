// The automaton's program: one nondeterministic byte automaton per grammar rule, whose edges take
// a byte, an added token, nothing, or call another rule (a recursive transition network, Woods
// 1970). Thompson's construction; repetitions of large parts call a rule instead of copying it, so
// that size is linear in the constraint.
//
// Immutable after BuildNetwork. Thread-safe.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_NETWORK_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_NETWORK_H_

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/constraint/expr.h"

namespace vallm::engine {

struct Network {
  enum class EdgeKind : uint8_t { kByte, kToken, kEmpty, kCall };

  struct Edge {
    EdgeKind kind;
    uint8_t first = 0;   // kByte: the range of bytes
    uint8_t last = 0;    // included
    int32_t callee = 0;  // kCall: the first node of the rule; kToken: index into `tokens`
    int32_t target = 0;  // the node to go on from
  };

  struct Node {
    int32_t first_edge = 0;
    int32_t edge_count = 0;
    bool final = false;     // the end of its rule
    bool consumes = false;  // has an edge that takes a byte or a token
    bool tail = false;      // nothing but the end of the rule is reachable: calls to here need not
                            // be remembered
    // The least depth of calls, beyond the present one, with which the end of the rule can be
    // reached; kNever if it cannot be reached at all.
    int32_t need = 0;
  };
  static constexpr int32_t kNever = std::numeric_limits<int32_t>::max() / 2;

  std::vector<Node> nodes;
  std::vector<Edge> edges;
  int32_t start = 0;                // of the root rule
  std::vector<std::string> tokens;  // contents of the added tokens in use

  std::span<const Edge> EdgesOf(int32_t node) const {
    return {edges.data() + nodes[node].first_edge, static_cast<size_t>(nodes[node].edge_count)};
  }
};

// The most nodes of a network.
inline constexpr int kMaxNetworkNodes = 400'000;

// Errors: INVALID_ARGUMENT if a rule calls itself without taking anything first (left recursion;
// the rule is named), if nothing matches the root; RESOURCE_EXHAUSTED beyond kMaxNetworkNodes.
// Linear time and memory in the size of the result.
absl::StatusOr<Network> BuildNetwork(const Grammar& grammar);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_NETWORK_H_
