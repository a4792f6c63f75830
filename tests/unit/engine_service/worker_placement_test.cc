#include "engine_service/worker_placement.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::StatusIs;

class PlaceWorkersTest : public ::testing::Test {
 protected:
  PlaceWorkersTest() { options_.tensor_parallel_size = 2; }

  absl::StatusOr<WorkerPlacement> Place(int32_t usable_cores = 8) const {
    return PlaceWorkers(options_, machine_, usable_cores);
  }

  EngineOptions options_;
  CpuTopology machine_{.nodes = {{0, {0, 1, 2, 3}}, {1, {4, 5, 6, 7}}}};
};

TEST_F(PlaceWorkersTest, SharesOutAllCpusByItself) {
  const auto placement = Place();
  ASSERT_OK(placement);
  EXPECT_EQ(placement->threads, 4);
  EXPECT_THAT(placement->cpus, ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(4, 5, 6, 7)));
  EXPECT_GT(placement->spin_limits.between_ranks, kCautiousSpin);
}

TEST_F(PlaceWorkersTest, DoesNotBindWhereTheCpusMayBeAnothers) {
  options_.threads_per_worker = 2;
  EXPECT_THAT(Place()->cpus, IsEmpty());
  options_.threads_per_worker = 4;  // all of them after all
  EXPECT_EQ(Place()->cpus.size(), 2u);
  options_.worker_cpus = "nobind";
  EXPECT_THAT(Place()->cpus, IsEmpty());
  options_.worker_cpus = "auto";
  options_.device = "vacc";
  EXPECT_THAT(Place()->cpus, IsEmpty());
  options_.device = "cpu";
  machine_.shared = true;  // a quota of 4 cores
  const auto placement = Place(/*usable_cores=*/4);
  EXPECT_EQ(placement->threads, 4);
  EXPECT_THAT(placement->cpus, IsEmpty());
  EXPECT_EQ(placement->spin_limits.between_ranks, kCautiousSpin);  // eight threads on four cores
}

TEST_F(PlaceWorkersTest, ListsSayHowManyThreadsThereAre) {
  options_.worker_cpus = "1,2|5-6";
  const auto placement = Place();
  ASSERT_OK(placement);
  EXPECT_EQ(placement->threads, 2);
  EXPECT_THAT(placement->cpus, ElementsAre(ElementsAre(1, 2), ElementsAre(5, 6)));
  options_.threads_per_worker = 3;
  EXPECT_THAT(Place(), StatusIs(absl::StatusCode::kInvalidArgument, "--threads-per-worker is 3"));
  options_.threads_per_worker.reset();
  options_.worker_cpus = "all";
  EXPECT_THAT(Place(), StatusIs(absl::StatusCode::kInvalidArgument, "--worker-cpus: 'all'"));
}

}  // namespace
}  // namespace vallm::engine
