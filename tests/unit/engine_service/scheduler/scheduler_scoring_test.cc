// Prompts whose tokens are scored: which rows of logits steps ask for.
#include <map>
#include <random>

#include "gmock/gmock.h"
#include "tests/unit/engine_service/scheduler/scheduler_fixture.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;

class SchedulerScoringTest : public SchedulerTest {
 protected:
  static SequenceSpec Scored(int count, int max_tokens, int first_id = 100) {
    SequenceSpec spec = Prompt(count, max_tokens, first_id);
    spec.scores_prompt = spec.computes_all = true;
    return spec;
  }
  // The ids that the step's prompt rows predict.
  std::vector<int32_t> Predicted() const {
    std::vector<int32_t> ids;
    for (const StepPlan::PromptRow& row : plan_.prompt_rows) ids.push_back(row.token_id);
    return ids;
  }
};

TEST_F(SchedulerScoringTest, EveryTokenButTheFirstIsPredictedInOrder) {
  SchedulerOptions options = SmallOptions();
  options.max_logit_rows = 64;
  Use(options);
  Submitted(Scored(10, 2));
  RunStep();
  EXPECT_THAT(Predicted(), ElementsAre(101, 102, 103, 104, 105, 106, 107, 108));
  EXPECT_TRUE(plan_.rows.empty());
  RunStep();
  EXPECT_THAT(Predicted(), ElementsAre(109));
  ASSERT_EQ(plan_.rows.size(), 1u);
  EXPECT_EQ(plan_.rows[0].logit_row, 1) << "after those of the prompt";
  RunStep();
  EXPECT_TRUE(Predicted().empty());
}

TEST_F(SchedulerScoringTest, ChunksAreCutToTheRowsThereAre) {
  SchedulerOptions options = SmallOptions();
  options.max_logit_rows = 4;
  Use(options);
  Submitted(Scored(10, 1));
  RunStep();
  EXPECT_THAT(ChunkSizes(), ElementsAre(4));
  Submitted(Prompt(3, 1));  // needs one of the rows, and is not held up
  RunStep();
  EXPECT_THAT(ChunkSizes(), ElementsAre(3, 3));
  EXPECT_EQ(LogitRows(plan_.view()), 4);
}

TEST_F(SchedulerScoringTest, APromptOfOneTokenHasNothingToPredict) {
  Submitted(Scored(1, 1));
  RunStep();
  EXPECT_TRUE(Predicted().empty());
  EXPECT_EQ(plan_.rows.size(), 1u);
}

TEST_F(SchedulerScoringTest, RandomWorkloadsGetEveryRowOnceAndStayWithinTheLimit) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    SchedulerOptions options = SmallOptions();
    options.max_batch_size = 1 + static_cast<int32_t>(random() % 4);
    options.max_num_batched_tokens = options.max_batch_size + static_cast<int32_t>(random() % 20);
    options.max_logit_rows = options.max_batch_size + static_cast<int32_t>(random() % 6);
    options.max_queue_size = 8;
    options.num_kv_blocks = 12;  // short of blocks: some are preempted
    options.enable_prefix_caching = random() % 2 == 0;
    Use(options);
    std::map<SequenceId, std::vector<int32_t>> missing;  // that no row has predicted yet
    for (int i = 0; i < 6; ++i) {
      const int count = 1 + static_cast<int>(random() % 30);
      const int max_tokens = 1 + static_cast<int>(random() % 10);
      const bool scored = random() % 2 == 0;
      SequenceSpec spec = scored ? Scored(count, max_tokens) : Prompt(count, max_tokens);
      std::vector<int32_t> ids(spec.prompt_ids.begin() + 1, spec.prompt_ids.end());
      const SequenceId id = Submitted(std::move(spec));
      if (scored) missing[id] = ids;
    }
    int steps = 0;
    while (ended_.size() < 6 && ++steps < 1000) {
      RunStep();
      ASSERT_EQ(LogitRows(plan_.view()),
                static_cast<int64_t>(plan_.rows.size() + plan_.prompt_rows.size()));
      ASSERT_LE(LogitRows(plan_.view()), *options.max_logit_rows);
      std::vector<bool> taken(static_cast<size_t>(LogitRows(plan_.view())));
      for (const StepPlan::Row& row : plan_.rows) taken.at(row.logit_row) = true;
      for (const StepPlan::PromptRow& row : plan_.prompt_rows) {
        taken.at(row.logit_row) = true;
        std::vector<int32_t>& left = missing.at(row.sequence_id);
        ASSERT_FALSE(left.empty());
        ASSERT_EQ(left.front(), row.token_id);
        left.erase(left.begin());
      }
      ASSERT_EQ(std::count(taken.begin(), taken.end(), false), 0) << "a row that nobody reads";
    }
    ASSERT_EQ(ended_.size(), 6u) << "seed " << seed;
    for (const auto& [id, left] : missing) EXPECT_TRUE(left.empty());
    ended_.clear();
  }
}

}  // namespace
}  // namespace vallm::engine
