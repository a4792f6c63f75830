#include "engine_service/executor/shm_collective.h"

#include <bit>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/engine_service/executor/rank_mapping.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;

std::unique_ptr<GroupMemory> MakeGroup(int32_t ranks) {
  return GroupMemory::Create({.ranks = ranks,
                              .max_tokens = 1,
                              .max_chunks = 1,
                              .max_block_ids = 1,
                              .max_logit_rows = 1,
                              .vocab_size = 1})
      .value();
}

// Runs `body(rank, collective)` on one thread per rank, each with its own mapping of the memory.
template <typename Body>
void OnEveryRank(GroupMemory& memory, const Body& body) {
  std::vector<std::thread> threads;
  for (int32_t rank = 0; rank < memory.shape().ranks; ++rank) {
    threads.emplace_back([&memory, &body, rank] {
      const RankMapping attached(memory);
      ShmCollective collective(*attached, rank);
      body(rank, collective);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

std::vector<float> RandomFloats(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  // Magnitudes far apart, so that another order of additions gives other bits.
  std::normal_distribution<float> mantissa(0, 1);
  std::uniform_int_distribution<int> exponent(-12, 12);
  std::vector<float> values(count);
  for (float& value : values) value = std::ldexp(mantissa(random), exponent(random));
  return values;
}

float Tree(const std::vector<std::vector<float>>& data, size_t first, size_t count, size_t i) {
  if (count == 1) return data[first][i];
  return Tree(data, first, count / 2, i) + Tree(data, first + count / 2, count / 2, i);
}

TEST(ShmCollectiveTest, AddsTheBalancedTreeBitForBitOnEveryRank) {
  for (const int32_t ranks : {1, 2, 4, 8, 16}) {
    for (const size_t size : {size_t{1}, size_t{33}, size_t{4099}, size_t{kExchangeFloats},
                              size_t{kExchangeFloats} * 2 + 5}) {
      std::vector<std::vector<float>> data;
      for (int32_t rank = 0; rank < ranks; ++rank) data.push_back(RandomFloats(size, rank + 1));
      std::vector<float> expected(size);
      for (size_t i = 0; i < size; ++i) expected[i] = Tree(data, 0, data.size(), i);
      const auto memory = MakeGroup(ranks);
      OnEveryRank(*memory, [&](int32_t rank, ShmCollective& collective) {
        EXPECT_EQ(collective.rank(), rank);
        EXPECT_EQ(collective.size(), ranks);
        std::vector<float> own = data[rank];
        ASSERT_OK(collective.AllReduceSum(own));
        for (size_t i = 0; i < size; ++i) {
          ASSERT_EQ(std::bit_cast<uint32_t>(own[i]), std::bit_cast<uint32_t>(expected[i]))
              << "rank " << rank << " of " << ranks << ", element " << i << " of " << size;
        }
      });
    }
  }
}

TEST(ShmCollectiveTest, AThousandMeetingsInARowStayInStep) {
  const auto memory = MakeGroup(4);
  OnEveryRank(*memory, [](int32_t rank, ShmCollective& collective) {
    for (int round = 0; round < 1000; ++round) {
      // From a size on, ranks share the additions: both kinds in turn, and in a row.
      std::vector<float> data(round % 5 < 3 ? 1 + round % 7 : 5000 + round % 7,
                              static_cast<float>(round * (rank + 1)));
      ASSERT_OK(collective.AllReduceSum(data));
      for (const float value : data) ASSERT_EQ(value, static_cast<float>(round * 10));
    }
  });
}

TEST(ShmCollectiveTest, AnAbortFreesARankWhosePeersNeverCome) {
  const auto memory = MakeGroup(2);
  absl::Status status;
  std::thread waiting([&] {
    ShmCollective collective(*memory, 0);
    std::vector<float> data(10);
    status = collective.AllReduceSum(data);
  });
  memory->Abort();
  waiting.join();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, "stopped"));
}

TEST(ShmCollectiveTest, DifferentSizesAreAnError) {
  const auto memory = MakeGroup(2);
  OnEveryRank(*memory, [](int32_t rank, ShmCollective& collective) {
    std::vector<float> data(10 + rank);
    EXPECT_THAT(collective.AllReduceSum(data), StatusIs(absl::StatusCode::kInternal, "on rank"));
  });
}

}  // namespace
}  // namespace vallm::engine
