#include "engine_service/worker/model_runner.h"

#include <unistd.h>

#include <cmath>
#include <thread>
#include <vector>

#include "engine_service/executor/group_memory.h"
#include "engine_service/executor/shm_collective.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using absl::StatusCode;
using testing::StatusIs;

ModelRunnerOptions Options(ShardSpec shard) {
  return {.model_dir = VALLM_TEST_DATA "/golden_models/qwen3-moe-fp8",
          .rope_scaling_json = "",
          .device = "cpu",
          .threads = 1,
          .num_kv_blocks = 4,
          .kv_cache_dtype = "auto",
          .shard = shard,
          .limits = {.max_tokens = 16, .max_logit_rows = 4}};
}

// Two sequences, three rows of logits.
class ModelRunnerTest : public ::testing::Test {
 protected:
  static constexpr int64_t kRows = 3;

  Step step() const { return {tokens_, chunks_, blocks_}; }

  // Every rank in a thread of its own, all writing to one [kRows, vocab] area of NaNs.
  std::vector<float> Run(int32_t ranks) {
    const auto memory = GroupMemory::Create({.ranks = ranks,
                                             .max_tokens = 16,
                                             .max_chunks = 4,
                                             .max_block_ids = 4,
                                             .max_logit_rows = 4,
                                             .vocab_size = 512})
                            .value();
    std::vector<float> logits(4 * 512, std::nanf(""));
    std::vector<std::thread> threads;
    for (int32_t rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        const auto runner = ModelRunner::Load(Options({rank, ranks}), nullptr).value();
        EXPECT_EQ(runner->vocab_size(), 512);
        ShmCollective collective(*memory, rank);
        EXPECT_OK(runner->Run(step(), collective, logits));
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t i = kRows * 512; i < logits.size(); ++i) EXPECT_TRUE(std::isnan(logits[i])) << i;
    logits.resize(kRows * 512);
    return logits;
  }

  const std::vector<int32_t> tokens_ = {1, 2, 3, 4, 5, 6};
  const std::vector<int32_t> blocks_ = {2, 0};
  const std::vector<SequenceChunk> chunks_ = {{0, 4, 0, 0, 1, 2}, {4, 2, 0, 1, 1, 1}};
};

TEST_F(ModelRunnerTest, RanksFillTheirColumnsWithTheBitsOfOneRank) {
  const std::vector<float> one = Run(1);
  for (const float value : one) ASSERT_TRUE(std::isfinite(value));
  EXPECT_EQ(Run(2), one);
}

TEST_F(ModelRunnerTest, ReportsProgressUpToTheEnd) {
  int64_t done = 0, total = 0;
  ASSERT_OK(ModelRunner::Load(Options({0, 1}), [&](int64_t d, int64_t t) {
    EXPECT_GE(d, done);
    done = d;
    total = t;
  }));
  EXPECT_GT(total, 0);
  EXPECT_EQ(done, total);
}

TEST_F(ModelRunnerTest, RefusesWhatItCannotLoad) {
  const auto refused = [](const auto& change, StatusCode code, const std::string& text) {
    ModelRunnerOptions options = Options({0, 1});
    change(options);
    EXPECT_THAT(ModelRunner::Load(options, nullptr), StatusIs(code, text));
  };
  using O = ModelRunnerOptions;
  refused([](O& o) { o.model_dir = "/nonexistent"; }, StatusCode::kNotFound, "/nonexistent");
  refused([](O& o) { o.device = "vacc"; }, StatusCode::kNotFound, "libvallm_vacc.so");
  refused([](O& o) { o.kv_cache_dtype = "int8"; }, StatusCode::kInvalidArgument, "\"int8\"");
  refused([](O& o) { o.rope_scaling_json = "{"; }, StatusCode::kInvalidArgument, "");
  refused([](O& o) { o.num_kv_blocks = 0; }, StatusCode::kInvalidArgument, "0");
  refused([](O& o) { o.shard = {.rank = 2, .size = 2}; }, StatusCode::kInvalidArgument, "2");
}

}  // namespace
}  // namespace vallm::engine
