#include "engine_service/executor/worker_group.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;

bool IsAlive(pid_t pid) { return kill(pid, 0) == 0; }

class WorkerGroupTest : public ::testing::Test {
 protected:
  // A group whose rank r behaves as behaviours[r].
  absl::StatusOr<std::unique_ptr<WorkerGroup>> Start(const std::vector<std::string>& behaviours) {
    options_.worker_binary = SCRIPTED_WORKER;
    for (const std::string& behaviour : behaviours) {
      options_.worker_args.push_back({absl::StrCat("--behaviour=", behaviour)});
    }
    options_.shape = {.ranks = static_cast<int32_t>(behaviours.size()),
                      .max_tokens = 1,
                      .max_chunks = 1,
                      .max_block_ids = 1,
                      .max_logit_rows = 1,
                      .vocab_size = 2};
    options_.on_death = [this] { ++deaths_; };
    return WorkerGroup::Start(options_);
  }
  std::unique_ptr<WorkerGroup> Ready(const std::vector<std::string>& behaviours) {
    auto group = Start(behaviours).value();
    EXPECT_OK(group->WaitReady());
    return group;
  }
  static absl::StatusOr<std::span<const float>> RunStep(WorkerGroup& group) {
    static const std::vector<int32_t> tokens = {1}, blocks = {0};
    static const std::vector<SequenceChunk> chunks = {{0, 1, 0, 0, 1, 1}};
    return group.RunStep({tokens, chunks, blocks});
  }

  WorkerGroupOptions options_;
  std::atomic<int> deaths_ = 0;
};

TEST_F(WorkerGroupTest, KnowsWhatTheSlowestRankTookToLoad) {
  const auto group = Ready({"echo", "echo"});
  const LoadDurations load = group->load_durations();
  EXPECT_EQ(load.open, absl::Microseconds(11));
  EXPECT_EQ(load.weights, absl::Microseconds(1000));
  EXPECT_EQ(load.kv_cache, absl::Microseconds(7));
}

TEST_F(WorkerGroupTest, RunsStepsOnEveryRank) {
  const auto group = Ready({"echo", "echo"});
  EXPECT_EQ(group->progress().done_bytes, 200);
  EXPECT_EQ(group->progress().total_bytes, 200);
  for (int step = 1; step <= 5; ++step) {
    const auto logits = RunStep(*group);
    ASSERT_OK(logits);
    EXPECT_EQ((*logits)[0], static_cast<float>(step));
    EXPECT_EQ((*logits)[1], static_cast<float>(step + 1));
  }
}

TEST_F(WorkerGroupTest, LeavesNoProcessBehind) {
  auto group = Ready({"echo", "echo"});
  const std::vector<pid_t> pids = group->pids();
  const absl::Time begin = absl::Now();
  group.reset();
  EXPECT_LT(absl::Now() - begin, absl::Milliseconds(450)) << "workers leave when told to";
  for (const pid_t pid : pids) EXPECT_FALSE(IsAlive(pid));
  EXPECT_EQ(deaths_, 0);
}

TEST_F(WorkerGroupTest, ADeathInAStepEndsTheStepAndSaysHow) {
  auto group = Ready({"echo", "die-at=2"});
  EXPECT_OK(RunStep(*group));
  EXPECT_THAT(RunStep(*group), StatusIs(absl::StatusCode::kUnavailable, "worker of rank 1"));
  EXPECT_THAT(group->WaitReady(),
              StatusIs(absl::StatusCode::kUnavailable, "killed by signal 9 (Killed) in step 2"));
  group.reset();  // and with it the thread that reports
  EXPECT_EQ(deaths_, 1);
}

TEST_F(WorkerGroupTest, ADeathBetweenStepsIsReported) {
  auto group = Ready({"echo", "echo"});
  EXPECT_OK(RunStep(*group));
  kill(group->pids()[0], SIGSEGV);
  while (deaths_ == 0) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_THAT(group->WaitReady(),
              StatusIs(absl::StatusCode::kUnavailable,
                       "killed by signal 11 (Segmentation fault) after step 1"));
  EXPECT_THAT(RunStep(*group), StatusIs(absl::StatusCode::kUnavailable, "rank 0"));
  group.reset();
  EXPECT_EQ(deaths_, 1);
}

TEST_F(WorkerGroupTest, AFailedStepIsUnavailableAndSaysWhy) {
  const auto group = Ready({"fail-at=1"});
  EXPECT_THAT(RunStep(*group),
              StatusIs(absl::StatusCode::kUnavailable, "worker of rank 0: broken"));
}

TEST_F(WorkerGroupTest, AHungStepIsGivenUp) {
  options_.step_timeout = absl::Milliseconds(100);
  auto group = Ready({"echo", "hang-at=1"});
  const pid_t hung = group->pids()[1];
  EXPECT_THAT(RunStep(*group), StatusIs(absl::StatusCode::kUnavailable,
                                        "the worker of rank 1 did not finish step 1 within 100ms"));
  group.reset();
  EXPECT_FALSE(IsAlive(hung));
}

TEST_F(WorkerGroupTest, ALoadThatFailsKeepsItsCode) {
  const auto group = Start({"echo", "fail-load"}).value();
  EXPECT_THAT(group->WaitReady(),
              StatusIs(absl::StatusCode::kNotFound, "worker of rank 1: no tensor"));
}

TEST_F(WorkerGroupTest, ALoadThatEndsEarlyIsUnavailable) {
  const auto group = Start({"exit-load", "echo"}).value();
  EXPECT_THAT(group->WaitReady(),
              StatusIs(absl::StatusCode::kUnavailable, "exited with status 3 while loading"));
}

TEST_F(WorkerGroupTest, StopEndsAWaitWithItsReason) {
  const auto group = Start({"hang-load"}).value();
  std::thread stopper([&] { group->Stop(absl::CancelledError("shutting down")); });
  EXPECT_THAT(group->WaitReady(), StatusIs(absl::StatusCode::kCancelled, "shutting down"));
  stopper.join();
  EXPECT_EQ(deaths_, 0);
}

TEST_F(WorkerGroupTest, AMissingBinaryIsNotFound) {
  options_.worker_binary = "/nonexistent/vallm-worker";
  options_.worker_args = {{}};
  options_.shape = {1, 1, 1, 1, 1, 1};
  EXPECT_THAT(WorkerGroup::Start(options_), StatusIs(absl::StatusCode::kNotFound, "cannot run"));
}

}  // namespace
}  // namespace vallm::engine
