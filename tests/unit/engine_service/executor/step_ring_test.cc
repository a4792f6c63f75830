#include "engine_service/executor/step_ring.h"

#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/engine_service/executor/rank_mapping.h"

namespace vallm::engine {
namespace {

using testing::IsOk;
using testing::StatusIs;

constexpr int32_t kVocab = 3;

class StepRingTest : public ::testing::Test {
 protected:
  void Make(int32_t ranks) {
    memory_ = GroupMemory::Create({.ranks = ranks,
                                   .max_tokens = 4,
                                   .max_chunks = 2,
                                   .max_block_ids = 3,
                                   .max_logit_rows = 2,
                                   .vocab_size = kVocab})
                  .value();
    writer_ = std::make_unique<StepWriter>(*memory_);
  }
  // A worker thread that answers each step with the sum of its tokens in its rank's column.
  std::thread Worker(int32_t rank) {
    return std::thread([this, rank] {
      const RankMapping memory(*memory_);
      StepReader reader(*memory, rank);
      while (true) {
        const auto step = reader.Next();
        if (!step.ok()) return;
        float sum = 0;
        for (const int32_t id : step->token_ids) sum += static_cast<float>(id);
        for (int64_t row = 0; row < LogitRows(*step); ++row) {
          reader.logits()[row * kVocab + rank] = sum + static_cast<float>(row);
        }
        reader.Finish();
      }
    });
  }

  std::unique_ptr<GroupMemory> memory_;
  std::unique_ptr<StepWriter> writer_;
};

TEST_F(StepRingTest, CarriesAStepAndItsLogits) {
  Make(1);
  const std::vector<int32_t> tokens = {5, 6, 7}, blocks = {9, 8};
  const std::vector<SequenceChunk> chunks = {{0, 2, 10, 0, 1, 0}, {2, 1, 0, 1, 1, 1}};
  writer_->Publish({tokens, chunks, blocks});

  StepReader reader(*memory_, 0);
  const auto step = reader.Next();
  ASSERT_OK(step);
  EXPECT_TRUE(
      std::equal(tokens.begin(), tokens.end(), step->token_ids.begin(), step->token_ids.end()));
  EXPECT_TRUE(
      std::equal(blocks.begin(), blocks.end(), step->block_ids.begin(), step->block_ids.end()));
  ASSERT_EQ(step->chunks.size(), 2u);
  EXPECT_EQ(step->chunks[0].start_position, 10);
  EXPECT_EQ(step->chunks[1].logit_count, 1);
  reader.logits()[2] = 1.5f;
  reader.Finish();

  const auto logits = writer_->Wait(absl::InfiniteFuture());
  ASSERT_OK(logits);
  ASSERT_EQ(logits->size(), 3u);
  EXPECT_EQ((*logits)[2], 1.5f);
}

TEST_F(StepRingTest, ThousandsOfStepsReachEveryRank) {
  Make(3);
  std::vector<std::thread> workers;
  for (int32_t rank = 0; rank < 3; ++rank) workers.push_back(Worker(rank));
  const std::vector<int32_t> blocks = {0};
  for (int32_t n = 0; n < 3000; ++n) {
    const std::vector<int32_t> tokens = {n, 1};
    const std::vector<SequenceChunk> chunks = {{0, 2, 0, 0, 1, 2}};
    writer_->Publish({tokens, chunks, blocks});
    const auto logits = writer_->Wait(absl::InfiniteFuture());
    ASSERT_OK(logits);
    for (int32_t column = 0; column < kVocab; ++column) {
      ASSERT_EQ((*logits)[column], static_cast<float>(n + 1));
      ASSERT_EQ((*logits)[kVocab + column], static_cast<float>(n + 2));
    }
  }
  memory_->Abort();
  for (std::thread& worker : workers) worker.join();
}

TEST_F(StepRingTest, LogitsStayReadableWhileTheNextStepRuns) {
  Make(1);
  const std::vector<int32_t> blocks = {0}, tokens = {4};
  const std::vector<SequenceChunk> chunks = {{0, 1, 0, 0, 1, 1}};
  StepReader reader(*memory_, 0);
  std::vector<std::span<const float>> results;
  for (const float value : {1.0f, 2.0f}) {
    writer_->Publish({tokens, chunks, blocks});
    ASSERT_OK(reader.Next());
    reader.logits()[0] = value;
    reader.Finish();
    results.push_back(writer_->Wait(absl::InfiniteFuture()).value());
  }
  EXPECT_EQ(results[0][0], 1.0f);
  EXPECT_EQ(results[1][0], 2.0f);
}

TEST_F(StepRingTest, AStepThatTakesTooLongIsADeadlineExceeded) {
  Make(2);
  std::thread worker = Worker(0);
  const std::vector<int32_t> blocks = {0}, tokens = {4};
  const std::vector<SequenceChunk> chunks = {{0, 1, 0, 0, 1, 1}};
  writer_->Publish({tokens, chunks, blocks});
  EXPECT_THAT(writer_->Wait(absl::Now() + absl::Milliseconds(30)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, "the worker of rank 1"));
  memory_->Abort();
  worker.join();
}

TEST_F(StepRingTest, AnAbortEndsTheWaitOfEngineAndWorker) {
  Make(2);
  std::thread worker = Worker(0);  // rank 1 never answers
  const std::vector<int32_t> blocks = {0}, tokens = {4};
  const std::vector<SequenceChunk> chunks = {{0, 1, 0, 0, 1, 1}};
  writer_->Publish({tokens, chunks, blocks});
  std::thread aborter([&] { memory_->Abort(); });
  EXPECT_THAT(writer_->Wait(absl::InfiniteFuture()),
              StatusIs(absl::StatusCode::kUnavailable, "stopped"));
  aborter.join();
  worker.join();
}

TEST_F(StepRingTest, RefusesAStepBeyondTheShape) {
  Make(1);
  const std::vector<int32_t> blocks = {0}, tokens = {1, 2, 3, 4, 5};
  const std::vector<SequenceChunk> chunks = {{0, 5, 0, 0, 1, 1}};
  EXPECT_DEATH(writer_->Publish({tokens, chunks, blocks}), "larger than the group's shape");
}

}  // namespace
}  // namespace vallm::engine
