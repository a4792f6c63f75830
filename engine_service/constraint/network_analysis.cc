#include "engine_service/constraint/network_analysis.h"

#include <algorithm>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

using Edge = Network::Edge;
using EdgeKind = Network::EdgeKind;
using Node = Network::Node;

void MarkConsumingNodes(Network* network) {
  for (size_t i = 0; i < network->nodes.size(); ++i) {
    for (const Edge& edge : network->EdgesOf(static_cast<int32_t>(i))) {
      if (edge.kind == EdgeKind::kByte || edge.kind == EdgeKind::kToken) {
        network->nodes[i].consumes = true;
      }
    }
  }
}

// Chains of empty edges that end at a final node, followed forwards from each node.
void MarkTailNodes(Network* network) {
  for (size_t i = 0; i < network->nodes.size(); ++i) {
    auto at = static_cast<int32_t>(i);
    // A chain is short; the bound keeps a cycle of empty edges from being followed for ever.
    for (int steps = 0; steps < 32; ++steps) {
      const Node& node = network->nodes[at];
      if (node.final || node.edge_count != 1) break;
      const Edge& edge = network->edges[node.first_edge];
      if (edge.kind != EdgeKind::kEmpty) break;
      at = edge.target;
    }
    network->nodes[i].tail = network->nodes[at].final && network->nodes[at].edge_count == 0;
  }
}

int32_t NeedOf(const Network& network, int32_t index) {
  const Node& node = network.nodes[index];
  if (node.final) return 0;
  int32_t need = Network::kNever;
  for (const Edge& edge : network.EdgesOf(index)) {
    const Node& target = network.nodes[edge.target];
    int32_t through = target.need;
    if (edge.kind == EdgeKind::kCall) {
      const int32_t callee = network.nodes[edge.callee].need;
      through = std::max(through, target.tail ? callee : callee + 1);
    }
    need = std::min(need, std::min(through, Network::kNever));
  }
  return need;
}

// The least solution, by a work list over the edges reversed: a node is looked at again only when
// one that it depends on got better.
void ComputeNeeds(Network* network) {
  const auto count = static_cast<int32_t>(network->nodes.size());
  std::vector<std::vector<int32_t>> dependants(count);
  for (int32_t i = 0; i < count; ++i) {
    network->nodes[i].need = Network::kNever;
    for (const Edge& edge : network->EdgesOf(i)) {
      dependants[edge.target].push_back(i);
      if (edge.kind == EdgeKind::kCall) dependants[edge.callee].push_back(i);
    }
  }
  std::vector<int32_t> work;
  for (int32_t i = 0; i < count; ++i) {
    if (network->nodes[i].final) work.push_back(i);
  }
  for (const int32_t i : work) network->nodes[i].need = 0;
  for (size_t head = 0; head < work.size(); ++head) {
    for (const int32_t i : dependants[work[head]]) {
      const int32_t need = NeedOf(*network, i);
      if (need < network->nodes[i].need) {
        network->nodes[i].need = need;
        work.push_back(i);
      }
    }
  }
}

class LeftRecursionCheck {
 public:
  LeftRecursionCheck(const std::vector<int32_t>& starts, const std::vector<std::string>& names,
                     const Network& network)
      : starts_(starts), names_(names), network_(network) {
    for (size_t i = 0; i < starts.size(); ++i) rule_of_start_[starts[i]] = static_cast<int>(i);
  }

  absl::Status Run() {
    nullable_.assign(starts_.size(), false);
    callees_.resize(starts_.size());
    // Nullability only grows. Rounds alternate in direction, because long chains of rules (the
    // properties of an object) call either the next one or the one before.
    bool changed = true;
    for (bool forwards = false; changed; forwards = !forwards) {
      changed = false;
      for (size_t i = 0; i < starts_.size(); ++i) {
        const size_t rule = forwards ? i : starts_.size() - 1 - i;
        const bool nullable = Explore(static_cast<int>(rule));
        if (nullable && !nullable_[rule]) changed = nullable_[rule] = true;
      }
    }
    return FindCycle();
  }

 private:
  // Collects the rules that `rule` may call before it takes anything; whether it may end so.
  bool Explore(int rule) {
    std::vector<int32_t> seen = {starts_[rule]};
    std::unordered_map<int32_t, bool> visited = {{starts_[rule], true}};
    bool nullable = false;
    callees_[rule].clear();
    const auto visit = [&](int32_t node) {
      if (visited.emplace(node, true).second) seen.push_back(node);
    };
    for (size_t head = 0; head < seen.size(); ++head) {
      nullable |= network_.nodes[seen[head]].final;
      for (const Edge& edge : network_.EdgesOf(seen[head])) {
        if (edge.kind == EdgeKind::kEmpty) visit(edge.target);
        if (edge.kind != EdgeKind::kCall) continue;
        const int callee = rule_of_start_.at(edge.callee);
        callees_[rule].push_back(callee);
        if (nullable_[callee]) visit(edge.target);
      }
    }
    return nullable;
  }

  // Depth-first without recursion: chains of rules may be long.
  absl::Status FindCycle() const {
    enum class Mark : uint8_t { kNew, kOpen, kDone };
    std::vector<Mark> marks(starts_.size(), Mark::kNew);
    for (size_t root = 0; root < starts_.size(); ++root) {
      std::vector<std::pair<int, size_t>> path;
      if (marks[root] == Mark::kNew) path.emplace_back(static_cast<int>(root), 0);
      while (!path.empty()) {
        auto& [rule, next] = path.back();
        marks[rule] = Mark::kOpen;
        if (next == callees_[rule].size()) {
          marks[rule] = Mark::kDone;
          path.pop_back();
          continue;
        }
        const int callee = callees_[rule][next++];
        if (marks[callee] == Mark::kOpen) {
          return absl::InvalidArgumentError(
              absl::StrCat("rule '", names_[callee],
                           "' calls itself before it matches anything (left recursion)"));
        }
        if (marks[callee] == Mark::kNew) path.emplace_back(callee, 0);
      }
    }
    return absl::OkStatus();
  }

  const std::vector<int32_t>& starts_;
  const std::vector<std::string>& names_;
  const Network& network_;
  std::unordered_map<int32_t, int> rule_of_start_;
  std::vector<bool> nullable_;
  std::vector<std::vector<int>> callees_;
};

}  // namespace

absl::Status AnalyseNetwork(const std::vector<int32_t>& rule_starts,
                            const std::vector<std::string>& rule_names, Network* network) {
  MarkConsumingNodes(network);
  MarkTailNodes(network);
  VALLM_RETURN_IF_ERROR(LeftRecursionCheck(rule_starts, rule_names, *network).Run());
  ComputeNeeds(network);
  if (network->nodes[network->start].need >= Network::kNever) {
    return absl::InvalidArgumentError("nothing can satisfy the constraint");
  }
  return absl::OkStatus();
}

}  // namespace vallm::engine
