#include "gateway/hangup_watch.h"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <utility>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace vallm::gateway {
namespace {

class HangupWatchTest : public ::testing::Test {
 protected:
  struct Pair {
    Pair() { ::socketpair(AF_UNIX, SOCK_STREAM, 0, fds); }
    ~Pair() {
      ::close(fds[0]);
      if (fds[1] >= 0) ::close(fds[1]);
    }
    void CloseClient() { ::close(std::exchange(fds[1], -1)); }
    int server() const { return fds[0]; }
    int fds[2];
  };

  std::function<void()> Count() {
    return [this] { ++calls_; };
  }
  bool WaitForCalls(int count) const {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (calls_ < count && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
    return calls_ == count;
  }

  std::atomic<int> calls_{0};
  HangupWatch watch_;
};

TEST_F(HangupWatchTest, TellsOfThePeerThatCloses) {
  Pair first, second;
  const auto first_place = watch_.Watch(first.server(), Count());
  const auto second_place = watch_.Watch(second.server(), Count());
  ::send(second.fds[1], "more", 4, 0);  // which is no end
  first.CloseClient();
  EXPECT_TRUE(WaitForCalls(1));
  ::shutdown(second.fds[1], SHUT_WR);
  EXPECT_TRUE(WaitForCalls(2));
}

TEST_F(HangupWatchTest, TellsOfOneThatHadGoneBefore) {
  Pair pair;
  pair.CloseClient();
  const auto place = watch_.Watch(pair.server(), Count());
  EXPECT_TRUE(WaitForCalls(1));
}

TEST_F(HangupWatchTest, AGivenUpPlaceIsToldNothingAndTheSocketCanBeWatchedAgain) {
  Pair pair;
  watch_.Watch(pair.server(), Count()).reset();
  std::atomic<bool> told{false};
  const auto place = watch_.Watch(pair.server(), [&told] { told = true; });
  pair.CloseClient();
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (!told && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_TRUE(told);
  EXPECT_EQ(calls_, 0);
}

}  // namespace
}  // namespace vallm::gateway
