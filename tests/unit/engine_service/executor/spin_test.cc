#include "engine_service/executor/spin.h"

#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(ChooseSpinLimits, WaitsGiveWayWhereThereAreFewerCoresThanThreads) {
  const SpinLimits too_few = ChooseSpinLimits(/*usable_cores=*/2, /*ranks=*/4, /*threads=*/1);
  EXPECT_EQ(too_few.between_ranks, kCautiousSpin);
  EXPECT_EQ(too_few.for_steps, kCautiousSpin);
  // The ranks have their cores; the engine's thread needs one of them between two steps.
  const SpinLimits just_enough = ChooseSpinLimits(8, 4, 2);
  EXPECT_GT(just_enough.between_ranks, microseconds(100));
  EXPECT_EQ(just_enough.for_steps, kCautiousSpin);
  const SpinLimits plenty = ChooseSpinLimits(9, 4, 2);
  EXPECT_EQ(plenty.between_ranks, just_enough.between_ranks);
  EXPECT_GE(plenty.for_steps, milliseconds(1));
}

TEST(Spinner, SpinsThroughWaitsThatAreShort) {
  Spinner spinner(microseconds(500));
  for (int i = 0; i < 20; ++i) spinner.Slept(milliseconds(10));
  EXPECT_EQ(spinner.time(), kLeastSpin);
  spinner.Slept(microseconds(40));
  EXPECT_EQ(spinner.time(), microseconds(80));
  spinner.Slept(microseconds(400));
  EXPECT_EQ(spinner.time(), microseconds(500));  // never beyond the limit
}

TEST(Spinner, GivesUpOnWaitsThatAreLong) {
  Spinner spinner(microseconds(500));
  EXPECT_EQ(spinner.time(), microseconds(500));
  spinner.Slept(microseconds(501));
  EXPECT_EQ(spinner.time(), microseconds(250));
}

TEST(Spinner, ALimitBelowTheLeastCounts) {
  Spinner spinner(microseconds(0));
  spinner.Slept(microseconds(1));
  EXPECT_EQ(spinner.time(), microseconds(0));
}

}  // namespace
}  // namespace vallm::engine
