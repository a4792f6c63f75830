#include "gateway/generation/notice_queue.h"

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Verdict = NoticeQueue::Verdict;

constexpr std::chrono::seconds kLong(20);

class NoticeQueueTest : public ::testing::Test {
 protected:
  static Notice Tokens(int count) {
    return {0, TokensNotice{.events = {}, .token_count = count, .arrived = {}}};
  }
  static std::vector<int> Counts(const std::vector<Notice>& notices) {
    std::vector<int> counts;
    for (const Notice& notice : notices) {
      counts.push_back(std::get<TokensNotice>(notice.what).token_count);
    }
    return counts;
  }
  // The request's thread, in Take until something is its business.
  void Wait() {
    thread_ = std::thread([this] { taken_ = queue_.Take(kLong); });
    absl::SleepFor(absl::Milliseconds(20));
  }
  std::vector<Notice> Taken() {
    thread_.join();
    return std::move(taken_);
  }
  void Bring(int count) {
    queue_.Push(Tokens(count));
    queue_.Deliver();
  }

  NoticeQueue queue_;
  std::thread thread_;
  std::vector<Notice> taken_;
};

TEST_F(NoticeQueueTest, WithoutADeputyTheThreadIsWoken) {
  Wait();
  Bring(1);
  EXPECT_THAT(Counts(Taken()), ElementsAre(1));
  EXPECT_THAT(queue_.Take(std::chrono::milliseconds(1)), IsEmpty());
}

TEST_F(NoticeQueueTest, TheDeputyWorksOnTheBringersThreadWhileTheOtherWaits) {
  std::vector<int> seen;
  std::thread::id where;
  queue_.SetDeputy([&](std::vector<Notice>& notices) {
    where = std::this_thread::get_id();
    for (const int count : Counts(notices)) seen.push_back(count);
    return seen.size() < 3 ? Verdict::kDone : Verdict::kThreadNeeded;
  });
  Bring(1);  // nobody waits: it stays for the thread
  EXPECT_THAT(seen, IsEmpty());
  EXPECT_THAT(Counts(queue_.Take(kLong)), ElementsAre(1));
  Wait();
  for (const int count : {2, 3, 4}) Bring(count);
  EXPECT_THAT(Taken(), IsEmpty()) << "woken, with nothing to deal with";
  EXPECT_THAT(seen, ElementsAre(2, 3, 4));
  EXPECT_EQ(where, std::this_thread::get_id());
}

TEST_F(NoticeQueueTest, WhatIsNotTheDeputysComesToTheThreadInOrder) {
  queue_.SetDeputy([&](std::vector<Notice>& notices) {
    if (Counts(notices).front() < 2) return Verdict::kDone;
    queue_.Push(Tokens(9));  // meanwhile
    return Verdict::kNotMine;
  });
  Wait();
  Bring(1);
  queue_.Push(Tokens(2));
  Bring(3);
  EXPECT_THAT(Counts(Taken()), ElementsAre(2, 3, 9));
}

TEST_F(NoticeQueueTest, TheThreadDoesNotReturnWhileTheDeputyWorks) {
  std::atomic<bool> working{false};
  std::atomic<bool> overlapped{false};
  queue_.SetDeputy([&](std::vector<Notice>&) {
    working = true;
    absl::SleepFor(absl::Milliseconds(60));
    working = false;
    return Verdict::kDone;
  });
  std::thread thread([&] {
    for (int i = 0; i < 20; ++i) {
      queue_.Take(std::chrono::milliseconds(5));
      if (working) overlapped = true;
    }
  });
  for (int i = 0; i < 5; ++i) {
    Bring(i);
    absl::SleepFor(absl::Milliseconds(3));
  }
  thread.join();
  EXPECT_FALSE(overlapped);
}

// Many bring, each in its own order; whoever deals with a notice, none is lost and none overtakes.
TEST_F(NoticeQueueTest, NothingIsLostOrOvertaken) {
  constexpr int kBringers = 4;
  constexpr int kEach = 5000;
  std::vector<int> last(kBringers, 0);
  int dealt = 0;
  int by_deputy = 0;
  const auto deal = [&](const std::vector<Notice>& notices) {
    for (const Notice& notice : notices) {
      const int count = std::get<TokensNotice>(notice.what).token_count;
      EXPECT_EQ(count, ++last[notice.choice]);
      ++dealt;
    }
  };
  queue_.SetDeputy([&](std::vector<Notice>& notices) {
    if (dealt % 7 == 0) return Verdict::kNotMine;
    deal(notices);
    by_deputy += static_cast<int>(notices.size());
    return dealt % 5 == 0 ? Verdict::kThreadNeeded : Verdict::kDone;
  });
  std::vector<std::thread> bringers;
  for (int who = 0; who < kBringers; ++who) {
    bringers.emplace_back([this, who] {
      for (int i = 1; i <= kEach; ++i) {
        queue_.Push({who, TokensNotice{.events = {}, .token_count = i, .arrived = {}}});
        queue_.Deliver();
        // Time for the thread to come to wait.
        if (i % 50 == 0) absl::SleepFor(absl::Microseconds(300));
      }
    });
  }
  while (dealt < kBringers * kEach) deal(queue_.Take(std::chrono::milliseconds(1)));
  for (std::thread& bringer : bringers) bringer.join();
  EXPECT_GT(by_deputy, 0);
}

TEST_F(NoticeQueueTest, AClosedQueueTakesNothing) {
  queue_.Close();
  Bring(1);
  EXPECT_THAT(queue_.Take(std::chrono::milliseconds(1)), SizeIs(0));
}

}  // namespace
}  // namespace vallm::gateway
