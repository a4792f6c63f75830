#include "engine_service/executor/placement.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::engine {
namespace {

// The nodes' CPUs that are still free.
class FreeCpus {
 public:
  explicit FreeCpus(const CpuTopology& topology) : nodes_(topology.nodes) {}

  // The node with the most free CPUs, the first of several.
  CpuNode& Emptiest() {
    return *std::max_element(nodes_.begin(), nodes_.end(), [](const CpuNode& a, const CpuNode& b) {
      return a.cpus.size() < b.cpus.size();
    });
  }

  static std::vector<int32_t> TakeFrom(CpuNode& node, size_t count) {
    count = std::min(count, node.cpus.size());
    const auto end = node.cpus.begin() + static_cast<ptrdiff_t>(count);
    std::vector<int32_t> taken(node.cpus.begin(), end);
    node.cpus.erase(node.cpus.begin(), end);
    return taken;
  }

  // From one node if any has as many, else from several.
  std::vector<int32_t> Take(size_t count) {
    std::vector<int32_t> taken;
    while (taken.size() < count) {
      const std::vector<int32_t> more = TakeFrom(Emptiest(), count - taken.size());
      taken.insert(taken.end(), more.begin(), more.end());
    }
    return taken;
  }

 private:
  std::vector<CpuNode> nodes_;
};

}  // namespace

std::vector<RankCpus> PlaceInstances(const CpuTopology& topology, int32_t instances, int32_t ranks,
                                     int32_t threads) {
  if (topology.shared || int64_t{instances} * ranks * threads > topology.cpu_count()) return {};
  const auto width = static_cast<size_t>(threads);
  const size_t whole = width * static_cast<size_t>(ranks);
  FreeCpus free(topology);
  std::vector<RankCpus> placed;
  for (int32_t instance = 0; instance < instances; ++instance) {
    CpuNode& node = free.Emptiest();
    const bool together = instances > 1 && node.cpus.size() >= whole;
    RankCpus& cpus = placed.emplace_back();
    for (int32_t rank = 0; rank < ranks; ++rank) {
      cpus.push_back(together ? FreeCpus::TakeFrom(node, width) : free.Take(width));
    }
  }
  return placed;
}

std::string FormatRankCpus(const RankCpus& cpus) {
  return absl::StrJoin(cpus, "|", [](std::string* out, const std::vector<int32_t>& rank) {
    absl::StrAppend(out, FormatCpuList(rank));
  });
}

absl::StatusOr<RankCpus> ParseRankCpus(std::string_view text, int32_t ranks,
                                       const CpuTopology& topology) {
  RankCpus cpus;
  std::set<int32_t> seen;
  for (const absl::string_view list : absl::StrSplit(ToAbsl(text), '|')) {
    VALLM_ASSIGN_OR_RETURN(cpus.emplace_back(), ParseCpuList(ToStd(list)));
    for (const int32_t cpu : cpus.back()) {
      if (topology.NodeOf(cpu) < 0) {
        return absl::InvalidArgumentError(absl::StrCat("this process may not use CPU ", cpu));
      }
      if (!seen.insert(cpu).second) {
        return absl::InvalidArgumentError(absl::StrCat("CPU ", cpu, " is given to two ranks"));
      }
    }
    if (cpus.back().size() != cpus.front().size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", ToAbsl(text), "' gives ranks different numbers of CPUs"));
    }
  }
  if (cpus.size() != static_cast<size_t>(ranks)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", ToAbsl(text), "' is for ", cpus.size(), " ranks; there are ", ranks));
  }
  return cpus;
}

}  // namespace vallm::engine
