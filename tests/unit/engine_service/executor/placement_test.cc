#include "engine_service/executor/placement.h"

#include <sched.h>

#include <filesystem>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::StatusIs;

std::vector<int32_t> Range(int32_t begin, int32_t end) {
  std::vector<int32_t> cpus;
  for (int32_t cpu = begin; cpu < end; ++cpu) cpus.push_back(cpu);
  return cpus;
}

// Nodes of `width` CPUs each.
CpuTopology Nodes(int32_t count, int32_t width) {
  CpuTopology topology;
  for (int32_t id = 0; id < count; ++id) {
    topology.nodes.push_back({id, Range(id * width, (id + 1) * width)});
  }
  return topology;
}

TEST(PlaceInstances, RanksOfOneInstanceSpreadOverTheNodes) {
  EXPECT_THAT(PlaceInstances(Nodes(2, 8), 1, 2, 4),
              ElementsAre(ElementsAre(Range(0, 4), Range(8, 12))));
  EXPECT_THAT(PlaceInstances(Nodes(2, 8), 1, 4, 4),
              ElementsAre(ElementsAre(Range(0, 4), Range(8, 12), Range(4, 8), Range(12, 16))));
}

TEST(PlaceInstances, EachOfSeveralInstancesHasANodeWhereItFits) {
  EXPECT_THAT(
      PlaceInstances(Nodes(2, 8), 2, 2, 4),
      ElementsAre(ElementsAre(Range(0, 4), Range(4, 8)), ElementsAre(Range(8, 12), Range(12, 16))));
}

TEST(PlaceInstances, WhatNoNodeCanHoldStraddles) {
  const auto placed = PlaceInstances(Nodes(2, 4), 1, 1, 6);
  EXPECT_THAT(placed, ElementsAre(ElementsAre(ElementsAre(0, 1, 2, 3, 4, 5))));
  // Three ranks of four over two nodes of six: two have a node, the third what is left of both.
  EXPECT_THAT(PlaceInstances(Nodes(2, 6), 1, 3, 4),
              ElementsAre(ElementsAre(Range(0, 4), Range(6, 10), ElementsAre(4, 5, 10, 11))));
}

TEST(PlaceInstances, NoCpuIsGivenTwice) {
  for (const auto& [instances, ranks, threads] :
       {std::tuple(3, 4, 2), {1, 8, 3}, {8, 1, 3}, {2, 2, 5}, {24, 1, 1}}) {
    const auto placed = PlaceInstances(Nodes(3, 8), instances, ranks, threads);
    ASSERT_EQ(placed.size(), static_cast<size_t>(instances));
    std::set<int32_t> seen;
    for (const RankCpus& instance : placed) {
      ASSERT_EQ(instance.size(), static_cast<size_t>(ranks));
      for (const std::vector<int32_t>& rank : instance) {
        ASSERT_EQ(rank.size(), static_cast<size_t>(threads));
        for (const int32_t cpu : rank) EXPECT_TRUE(seen.insert(cpu).second) << cpu;
      }
    }
  }
}

TEST(PlaceInstances, BindsNothingWithoutEnoughCpusOrWhereOthersShareThem) {
  EXPECT_THAT(PlaceInstances(Nodes(1, 2), 2, 2, 1), IsEmpty());
  CpuTopology shared = Nodes(1, 8);
  shared.shared = true;
  EXPECT_THAT(PlaceInstances(shared, 1, 2, 1), IsEmpty());
}

TEST(RankCpus, AreReadAsTheyAreWritten) {
  const RankCpus cpus = {{0, 1, 2, 8}, {4, 5, 6, 7}};
  EXPECT_EQ(FormatRankCpus(cpus), "0-2,8|4-7");
  const auto parsed = ParseRankCpus("0-2,8|4-7", 2, Nodes(1, 9));
  ASSERT_OK(parsed);
  EXPECT_EQ(*parsed, cpus);
}

TEST(RankCpus, WhatIsWrongIsSaid) {
  const auto error = [](const std::string& text, const std::string& message) {
    EXPECT_THAT(ParseRankCpus(text, 2, Nodes(1, 4)),
                StatusIs(absl::StatusCode::kInvalidArgument, message))
        << text;
  };
  error("0-1", "is for 1 ranks; there are 2");
  error("0|1|2", "is for 3 ranks");
  error("0|0", "CPU 0 is given to two ranks");
  error("0,1|2", "different numbers");
  error("0|4", "may not use CPU 4");
  error("0|", "not a list of CPUs");
  error("0|2-1", "not a list of CPUs");
  error("0|1,1", "not a list of CPUs");
  error("0|a", "not a list of CPUs");
}

class ReadCpuTopologyTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ / path).parent_path());
    testing::WriteFile(root_ / path, text + "\n");
  }
  const testing::TempDir root_;
};

TEST_F(ReadCpuTopologyTest, PutsOneThreadOfEveryCoreFirst) {
  Write("sys/devices/system/node/node0/cpulist", "0-1,4-5");
  Write("sys/devices/system/node/node1/cpulist", "2-3,6-7");
  for (int cpu = 0; cpu < 8; ++cpu) {
    const int core = cpu % 4;
    Write("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
          std::to_string(core) + "," + std::to_string(core + 4));
  }
  const CpuTopology topology = ReadCpuTopology(root_.path(), Range(0, 8));
  EXPECT_THAT(topology.nodes, ElementsAre(CpuNode{0, {0, 1, 4, 5}}, CpuNode{1, {2, 3, 6, 7}}));
  EXPECT_EQ(topology.NodeOf(6), 1);
  EXPECT_EQ(topology.NodeOf(8), -1);
  // A node without allowed CPUs does not count.
  EXPECT_THAT(ReadCpuTopology(root_.path(), {3, 7}).nodes, ElementsAre(CpuNode{1, {3, 7}}));
}

TEST_F(ReadCpuTopologyTest, WithoutSysThereIsOneNode) {
  EXPECT_THAT(ReadCpuTopology(root_.path(), {1, 3}).nodes, ElementsAre(CpuNode{0, {1, 3}}));
}

TEST_F(ReadCpuTopologyTest, AQuotaBelowTheCpusMakesThemShared) {
  Write("proc/self/cgroup", "0::/");
  Write("sys/fs/cgroup/cpu.max", "max 100000");
  EXPECT_FALSE(ReadCpuTopology(root_.path()).shared);
  Write("sys/fs/cgroup/cpu.max", "100000 100000");
  cpu_set_t mask;
  ASSERT_EQ(sched_getaffinity(0, sizeof(mask), &mask), 0);
  EXPECT_EQ(ReadCpuTopology(root_.path()).shared, CPU_COUNT(&mask) > 1);
}

TEST(RunOnCpus, NarrowsTheMaskOrSaysThatItCannot) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  const CpuTopology topology = ReadCpuTopology();
  const int32_t cpu = topology.nodes.back().cpus.back();
  ASSERT_OK(RunOnCpus({cpu}));
  cpu_set_t after;
  ASSERT_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
  EXPECT_EQ(CPU_COUNT(&after), 1);
  EXPECT_TRUE(CPU_ISSET(cpu, &after));
  sched_setaffinity(0, sizeof(before), &before);
  EXPECT_THAT(RunOnCpus({-1}), StatusIs(absl::StatusCode::kInvalidArgument, "none of the CPUs"));
}

}  // namespace
}  // namespace vallm::engine
