#include "gateway/generation/run_end.h"

#include "gtest/gtest.h"

namespace vallm::gateway {
namespace {

RunEnd Refused(absl::Status status, bool again = false) {
  return ClassifyRunEnd({.status = std::move(status), .answered = true, .refused = true}, again);
}
RunEnd Answered(absl::Status status) {
  return ClassifyRunEnd({.status = std::move(status), .answered = true}, /*again=*/false);
}
RunEnd Lost(absl::Status status) {
  return ClassifyRunEnd({.status = std::move(status)}, /*again=*/false);
}

TEST(RunEndTest, AnEngineThatDoesNotServeHasRunNothing) {
  EXPECT_EQ(Refused(absl::UnavailableError("workers are restarting")), RunEnd::kRefused);
  EXPECT_EQ(Refused(absl::ResourceExhaustedError("the queue is full")), RunEnd::kRefused);
  EXPECT_EQ(Lost(absl::UnavailableError("failed to connect to all addresses; last error: x")),
            RunEnd::kRefused);
  EXPECT_EQ(Lost(absl::UnimplementedError("of an earlier version")), RunEnd::kRefused);
}

TEST(RunEndTest, TheRequestsOwnFaultStaysIt) {
  EXPECT_EQ(Refused(absl::InvalidArgumentError("temperature is 3")), RunEnd::kFault);
  EXPECT_EQ(Answered(absl::InvalidArgumentError("no token is left")), RunEnd::kFault);
  EXPECT_EQ(Answered(absl::InternalError("a bug")), RunEnd::kFault);
}

TEST(RunEndTest, AnIdThatIsTakenIsOnlyOursAfterAnEarlierRun) {
  EXPECT_EQ(Refused(absl::AlreadyExistsError("id"), /*again=*/true), RunEnd::kRefused);
  EXPECT_EQ(Refused(absl::AlreadyExistsError("id")), RunEnd::kFault);
}

TEST(RunEndTest, WorkersEnginesAndConnectionsDie) {
  EXPECT_EQ(Answered(absl::UnavailableError("worker 0 was killed")), RunEnd::kDied);
  EXPECT_EQ(Answered(absl::CancelledError("by a server that shuts down")), RunEnd::kDied);
  EXPECT_EQ(Lost(absl::UnavailableError("Socket closed")), RunEnd::kDied);
  EXPECT_EQ(Lost(absl::UnknownError("Stream removed")), RunEnd::kDied);
  EXPECT_EQ(Lost(absl::InternalError("Received RST_STREAM with error code 2")), RunEnd::kDied);
  EXPECT_EQ(Lost(absl::CancelledError("")), RunEnd::kDied);
  EXPECT_EQ(Lost(absl::ResourceExhaustedError("message too large")), RunEnd::kDied);
}

}  // namespace
}  // namespace vallm::gateway
