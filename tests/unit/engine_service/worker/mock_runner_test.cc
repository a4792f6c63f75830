#include "engine_service/worker/mock_runner.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

constexpr int32_t kVocab = 101;

class MockRunnerTest : public ::testing::Test {
 protected:
  static MockRunner Make(ShardSpec shard = {.rank = 0, .size = 1}) {
    return MockRunner({.vocab_size = kVocab, .num_kv_blocks = 8, .shard = shard});
  }
  // Runs positions [begin, end) of `ids` in the given blocks and gives the next token.
  int32_t Run(MockRunner& runner, const std::vector<int32_t>& ids,
              const std::vector<int32_t>& blocks, int32_t begin, int32_t end) {
    const std::vector<SequenceChunk> chunks = {{.token_begin = 0,
                                                .token_count = end - begin,
                                                .start_position = begin,
                                                .block_begin = 0,
                                                .block_count = (end + 15) / 16,
                                                .logit_count = 1}};
    const std::vector<int32_t> tokens(ids.begin() + begin, ids.begin() + end);
    EXPECT_OK(runner.Run({tokens, chunks, blocks}, collective_, logits_));
    return static_cast<int32_t>(std::max_element(logits_.begin(), logits_.end()) - logits_.begin());
  }
  static std::vector<int32_t> Ids(int32_t count) {
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < count; ++i) ids.push_back(i * i % 97);
    return ids;
  }

  SingleRank collective_;
  std::vector<float> logits_ = std::vector<float>(kVocab, 5.0f);
};

TEST_F(MockRunnerTest, TheTokenDependsOnAllTokensAndOnNothingElse) {
  MockRunner runner = Make();
  const std::vector<int32_t> ids = Ids(40);
  const int32_t next = Run(runner, ids, {3, 1, 6}, 0, 40);
  EXPECT_GE(next, 0);
  EXPECT_LT(next, kVocab / 2);
  EXPECT_EQ(std::count(logits_.begin(), logits_.end(), 0.0f), kVocab - 1);
  Run(runner, ids, {0, 2, 4}, 0, 17);
  EXPECT_EQ(Run(runner, ids, {0, 2, 4}, 17, 40), next) << "other blocks, in two chunks";
  int changed = 0;
  for (int32_t i = 0; i < 40; ++i) {
    std::vector<int32_t> others = ids;
    others[static_cast<size_t>(i)] += 1;
    changed += Run(runner, others, {0, 2, 4}, 0, 40) != next;
  }
  EXPECT_GT(changed, 35);
}

TEST_F(MockRunnerTest, AWrongBlockShows) {
  MockRunner runner = Make();
  const std::vector<int32_t> ids = Ids(40);
  const int32_t next = Run(runner, ids, {3, 1, 6}, 0, 40);
  EXPECT_NE(Run(runner, ids, {3, 7, 6}, 32, 40), next) << "nobody wrote to block 7";
}

TEST_F(MockRunnerTest, EveryRankWritesItsColumns) {
  const std::vector<int32_t> ids = Ids(20);
  MockRunner whole = Make();
  const int32_t next = Run(whole, ids, {0, 1}, 0, 20);
  const std::vector<float> expected = logits_;
  std::fill(logits_.begin(), logits_.end(), -1.0f);
  for (const int32_t rank : {0, 1, 2, 3}) {
    MockRunner part = Make({.rank = rank, .size = 4});
    Run(part, ids, {0, 1}, 0, 20);
  }
  EXPECT_EQ(logits_, expected);
  EXPECT_EQ(logits_[static_cast<size_t>(next)], 1000);
}

TEST_F(MockRunnerTest, AStepTakesItsTime) {
  MockRunner runner({.vocab_size = kVocab,
                     .num_kv_blocks = 8,
                     .shard = {.rank = 0, .size = 1},
                     .step_time = absl::Milliseconds(5),
                     .token_time = absl::Milliseconds(1)});
  const absl::Time start = absl::Now();
  Run(runner, Ids(10), {0}, 0, 10);
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(15));
}

}  // namespace
}  // namespace vallm::engine
