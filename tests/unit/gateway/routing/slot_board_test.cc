#include "gateway/routing/slot_board.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::StatusIs;

// Instances that serve with the given limits, and a clock moved by hand.
class SlotBoardTest : public ::testing::Test {
 protected:
  explicit SlotBoardTest(
      const SlotBoardOptions& options = {.max_queue_size = 2,
                                         .queue_timeout = absl::Seconds(60),
                                         .no_instance_timeout = absl::Seconds(5)})
      : board_(options) {}

  void Instances(std::vector<int> limits) {
    for (const int limit : limits) {
      const int index = board_.AddInstance();
      limits_.push_back(limit);
      board_.UpdateInstance(index, /*serving=*/true, limit, /*reported_load=*/0);
    }
  }
  void Report(int instance, int load) {
    board_.UpdateInstance(instance, true, limits_[instance], load);
  }
  void Lose(int instance) { board_.UpdateInstance(instance, false, limits_[instance], 0); }
  void Wait(absl::Duration duration) { now_ += duration; }

  SlotBoard::Ticket Ask(std::optional<int> avoid = std::nullopt) {
    auto ticket = board_.Enqueue(now_, {.avoid = avoid});
    EXPECT_OK(ticket);
    return ticket.value_or(0);
  }
  SlotBoard::Ticket AskWithPriority(int32_t priority) {
    auto ticket = board_.Enqueue(now_, {.priority = priority});
    EXPECT_OK(ticket);
    return ticket.value_or(0);
  }
  // Gives the one slot of instance 0 back until nobody waits; says in which order it was granted.
  std::vector<SlotBoard::Ticket> DrainTheLine() {
    std::vector<SlotBoard::Ticket> order;
    while (board_.waiting_count() > 0) {
      board_.Release(0, now_);
      for (const auto& decision : board_.Settle(now_)) order.push_back(decision.ticket);
    }
    return order;
  }
  // Asks again for a request that has lost its instance.
  SlotBoard::Ticket AskToMove(absl::Duration patience) {
    auto ticket = board_.Enqueue(now_, {.moved = true, .patience = patience});
    EXPECT_OK(ticket);
    return ticket.value_or(0);
  }
  // What Settle decides, e.g. "1:0" for ticket 1 on instance 0 or "2:DEADLINE_EXCEEDED".
  std::vector<std::string> Settle() {
    std::vector<std::string> lines;
    for (const auto& decision : board_.Settle(now_)) {
      lines.push_back(std::to_string(decision.ticket) + ":" +
                      (decision.choice.ok()
                           ? std::to_string(decision.choice->instance)
                           : absl::StatusCodeToString(decision.choice.status().code())));
    }
    return lines;
  }

  SlotBoard board_;
  std::vector<int> limits_;
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(SlotBoardTest, TakesEqualInstancesInTurn) {
  Instances({4, 4, 4});
  for (int i = 0; i < 6; ++i) Ask();
  EXPECT_THAT(Settle(), ElementsAre("1:0", "2:1", "3:2", "4:0", "5:1", "6:2"));
}

TEST_F(SlotBoardTest, TurnsGoOnAfterSlotsCameBack) {
  Instances({4, 4});
  Ask();
  EXPECT_THAT(Settle(), ElementsAre("1:0"));
  board_.Release(0, now_);
  Ask();
  EXPECT_THAT(Settle(), ElementsAre("2:1"));
}

TEST_F(SlotBoardTest, PrefersTheLeastLoaded) {
  Instances({4, 4});
  Report(0, 3);  // by other clients
  Ask();
  Ask();
  Ask();
  EXPECT_THAT(Settle(), ElementsAre("1:1", "2:1", "3:1"));
}

TEST_F(SlotBoardTest, OwnRequestsInAReportAreNotCountedTwice) {
  Instances({4, 4});
  Ask();
  Ask();
  EXPECT_THAT(Settle(), ElementsAre("1:0", "2:1"));
  Report(0, 1);  // that is ours
  Report(1, 2);  // one more than ours
  Ask();
  EXPECT_THAT(Settle(), ElementsAre("3:0"));
}

TEST_F(SlotBoardTest, WaitsFirstComeFirstServed) {
  Instances({1});
  Ask();
  EXPECT_THAT(Settle(), ElementsAre("1:0"));
  Ask();
  Ask();
  EXPECT_THAT(Settle(), IsEmpty());
  EXPECT_EQ(board_.waiting_count(), 2);
  board_.Release(0, now_);
  EXPECT_THAT(Settle(), ElementsAre("2:0"));
  board_.Release(0, now_);
  EXPECT_THAT(Settle(), ElementsAre("3:0"));
}

TEST_F(SlotBoardTest, RefusesWhenTheQueueIsFull) {
  Instances({1});
  Ask();
  Settle();
  Ask();
  Ask();
  Settle();
  EXPECT_THAT(board_.Enqueue(now_, SlotRequest()),
              StatusIs(absl::StatusCode::kResourceExhausted, "the limit is 2"));
  board_.Release(0, now_);  // a slot is free: the queue's length does not matter
  EXPECT_OK(board_.Enqueue(now_, SlotRequest()));
}

TEST_F(SlotBoardTest, GivesUpAfterTheQueueTimeout) {
  Instances({1});
  Ask();
  Settle();
  Ask();
  EXPECT_EQ(board_.NextDeadline(), now_ + absl::Seconds(60));
  Wait(absl::Seconds(59));
  EXPECT_THAT(Settle(), IsEmpty());
  Wait(absl::Seconds(1));
  EXPECT_THAT(Settle(), ElementsAre("2:DEADLINE_EXCEEDED"));
  EXPECT_EQ(board_.NextDeadline(), absl::InfiniteFuture());
}

TEST_F(SlotBoardTest, WaitsLessWhenNobodyServes) {
  Instances({1});
  Lose(0);
  Ask();
  Wait(absl::Seconds(4));
  EXPECT_THAT(Settle(), IsEmpty());
  Wait(absl::Seconds(1));
  EXPECT_THAT(Settle(), ElementsAre("1:UNAVAILABLE"));
  Ask();
  Report(0, 0);  // it is back
  EXPECT_THAT(Settle(), ElementsAre("2:0"));
}

TEST_F(SlotBoardTest, AMomentWithoutInstancesEndsNoLongWait) {
  Instances({1});
  Ask();
  Settle();
  Ask();
  AskToMove(absl::Seconds(30));
  Wait(absl::Seconds(50));
  Lose(0);
  EXPECT_LE(board_.NextDeadline(), now_);  // so that Settle hears of it
  EXPECT_THAT(Settle(), IsEmpty());
  EXPECT_EQ(board_.NextDeadline(), now_ + absl::Seconds(5));
  Wait(absl::Seconds(4));
  Report(0, 1);  // it is back, and full
  EXPECT_THAT(Settle(), IsEmpty());
  Lose(0);
  EXPECT_THAT(Settle(), IsEmpty());
  Wait(absl::Seconds(4));
  EXPECT_THAT(Settle(), IsEmpty());
  Wait(absl::Seconds(1));
  EXPECT_THAT(Settle(), ElementsAre("2:UNAVAILABLE"));
  Wait(absl::Seconds(25));
  EXPECT_THAT(Settle(), ElementsAre("3:UNAVAILABLE"));
}

TEST_F(SlotBoardTest, AvoidsAnInstanceWhileAnotherServes) {
  Instances({1, 1});
  Ask(/*avoid=*/0);
  EXPECT_THAT(Settle(), ElementsAre("1:1"));
  Ask(/*avoid=*/0);
  EXPECT_THAT(Settle(), IsEmpty());  // rather waits for the other
  Ask();
  EXPECT_THAT(Settle(), ElementsAre("3:0"));  // which keeps nobody else waiting
  board_.Release(0, now_);
  Lose(1);
  EXPECT_THAT(Settle(), ElementsAre("2:0"));
}

TEST_F(SlotBoardTest, WhoHasLostAnInstanceComesFirstAndIsNotRefused) {
  Instances({1});
  Ask();
  Settle();
  Ask();
  Ask();
  AskToMove(absl::Seconds(30));  // the queue is full
  AskToMove(absl::Seconds(30));
  for (const char* next : {"4:0", "5:0", "2:0", "3:0"}) {
    board_.Release(0, now_);
    EXPECT_THAT(Settle(), ElementsAre(next));
  }
}

TEST_F(SlotBoardTest, WhoHasLostAnInstanceHasItsOwnPatience) {
  Instances({1});
  Lose(0);
  Ask();
  AskToMove(absl::Seconds(30));
  EXPECT_EQ(board_.NextDeadline(), now_ + absl::Seconds(5));
  Wait(absl::Seconds(29));
  EXPECT_THAT(Settle(), ElementsAre("1:UNAVAILABLE"));
  EXPECT_EQ(board_.NextDeadline(), now_ + absl::Seconds(1));
  Wait(absl::Seconds(1));
  EXPECT_THAT(Settle(), ElementsAre("2:UNAVAILABLE"));
}

// One slot, which ticket 1 has, and a long line behind it.
class PriorityTest : public SlotBoardTest {
 protected:
  explicit PriorityTest(absl::Duration ageing = absl::Seconds(10))
      : SlotBoardTest({.max_queue_size = 100, .priority_ageing = ageing}) {
    Instances({1});
    Ask();
    Settle();
  }
};

TEST_F(PriorityTest, LowerComesEarlierFirstComeFirstServedWithinAClass) {
  for (const int priority : {2, 0, -1, 0, 2, -1}) AskWithPriority(priority);
  EXPECT_THAT(DrainTheLine(), ElementsAre(4, 7, 3, 5, 2, 6));
}

TEST_F(PriorityTest, WhoHasLostAnInstanceComesBeforeAnyPriority) {
  AskWithPriority(std::numeric_limits<int32_t>::min());
  AskToMove(absl::Seconds(30));
  EXPECT_THAT(DrainTheLine(), ElementsAre(3, 2));
}

TEST_F(PriorityTest, WaitingIsWorthClasses) {
  AskWithPriority(3);
  Wait(absl::Seconds(25));
  AskWithPriority(0);  // 2 ranks 5 s after it, and gets there before those who come later
  Wait(absl::Seconds(6));
  AskWithPriority(0);
  EXPECT_THAT(DrainTheLine(), ElementsAre(3, 2, 4));
}

TEST_F(PriorityTest, NobodyStarves) {
  const SlotBoard::Ticket late = AskWithPriority(3);
  int before = 0;
  for (;; ++before) {  // a better one comes every second, as fast as slots come free
    AskWithPriority(0);
    Wait(absl::Seconds(1));
    board_.Release(0, now_);
    const auto decisions = board_.Settle(now_);
    ASSERT_EQ(decisions.size(), 1u);
    if (decisions[0].ticket == late) break;
    ASSERT_LT(before, 100);
  }
  EXPECT_EQ(before, 30);  // 3 classes of 10 s
}

class StrictPriorityTest : public PriorityTest {
 protected:
  StrictPriorityTest() : PriorityTest(absl::InfiniteDuration()) {}
};

TEST_F(StrictPriorityTest, WaitingIsWorthNothing) {
  AskWithPriority(1);
  Wait(absl::Hours(1));
  AskWithPriority(0);
  AskWithPriority(1);
  EXPECT_THAT(DrainTheLine(), ElementsAre(3, 2, 4));
}

TEST_F(SlotBoardTest, WhatIsBegunGoesOnOnInstancesOfTheSameMakeOnly) {
  Instances({1, 4, 1});
  board_.SetMake(1, 7);
  const auto ask = [this](std::optional<int> make, std::optional<int> avoid) {
    SlotRequest request;
    request.avoid = avoid;
    request.make = make;
    request.moved = true;
    request.patience = absl::Seconds(30);
    EXPECT_OK(board_.Enqueue(now_, request));
  };
  ask(/*make=*/0, /*avoid=*/2);
  ask(0, 0);
  ask(0, std::nullopt);
  ask(7, std::nullopt);
  ask(7, 1);  // there is no other
  EXPECT_THAT(Settle(), ElementsAre("1:0", "2:2", "4:1", "5:1"));
  Lose(0);
  Lose(2);
  EXPECT_THAT(Settle(), IsEmpty());
  Wait(absl::Seconds(29));
  EXPECT_THAT(Settle(), IsEmpty());
  Wait(absl::Seconds(1));
  EXPECT_THAT(Settle(), ElementsAre("3:UNAVAILABLE"));
}

TEST_F(SlotBoardTest, WithdrawnRequestsAreForgotten) {
  Instances({1});
  Ask();
  Settle();
  const SlotBoard::Ticket ticket = Ask();
  Ask();
  board_.Withdraw(ticket);
  board_.Release(0, now_);
  EXPECT_THAT(Settle(), ElementsAre("3:0"));
}

TEST_F(SlotBoardTest, ALostInstanceGetsNothing) {
  Instances({4, 4});
  Lose(0);
  Ask();
  Ask();
  EXPECT_THAT(Settle(), ElementsAre("1:1", "2:1"));
}

TEST_F(SlotBoardTest, IndicesOfRemovedInstancesAreNotUsedAgain) {
  Instances({4, 4, 4});
  board_.RemoveInstance(1);
  EXPECT_EQ(board_.AddInstance(), 3);
  board_.UpdateInstance(3, true, 4, 0);
  for (int i = 0; i < 4; ++i) Ask();
  EXPECT_THAT(Settle(), ElementsAre("1:0", "2:2", "3:3", "4:0"));
}

TEST_F(SlotBoardTest, AnInstanceToAvoidMayBeGone) {
  Instances({1, 1});
  board_.RemoveInstance(1);
  Ask(/*avoid=*/1);
  EXPECT_THAT(Settle(), ElementsAre("1:0"));
}

TEST_F(SlotBoardTest, WithoutAnyInstanceARequestWaitsForOne) {
  Ask();
  EXPECT_THAT(Settle(), IsEmpty());
  Instances({1});
  EXPECT_THAT(Settle(), ElementsAre("1:0"));
}

class SessionTest : public SlotBoardTest {
 protected:
  void AskInSession(uint64_t session) {
    SlotRequest request;
    request.session = session;
    EXPECT_OK(board_.Enqueue(now_, request));
  }
};

TEST_F(SessionTest, StaysWhereItWasWhateverTheLoad) {
  Instances({4, 4, 4});
  AskInSession(7);
  AskInSession(8);
  EXPECT_THAT(Settle(), ElementsAre("1:0", "2:1"));
  AskInSession(7);
  AskInSession(7);
  AskInSession(8);
  EXPECT_THAT(Settle(), ElementsAre("3:0", "4:0", "5:1"));
  const auto explanation = board_.Explain({.session = 7}, now_);
  ASSERT_TRUE(explanation.choice.has_value());
  EXPECT_EQ(explanation.choice->instance, 0);
  EXPECT_EQ(explanation.choice->reason, RoutingReason::kSession);
}

TEST_F(SessionTest, MovesWhenItsInstanceIsFullOrGone) {
  Instances({1, 4});
  AskInSession(7);
  EXPECT_THAT(Settle(), ElementsAre("1:0"));
  AskInSession(7);  // 0 is full
  EXPECT_THAT(Settle(), ElementsAre("2:1"));
  board_.Release(0, now_);
  AskInSession(7);  // it is at 1 by now
  EXPECT_THAT(Settle(), ElementsAre("3:1"));
  Lose(1);
  AskInSession(7);
  EXPECT_THAT(Settle(), ElementsAre("4:0"));
}

// One slot, which ticket 1 has.
class BackgroundTest : public PriorityTest {
 protected:
  void AskInBackground(int32_t priority = 0) {
    EXPECT_OK(board_.Enqueue(now_, {.priority = priority, .background = true}));
  }
};

TEST_F(BackgroundTest, ComesAfterEverybodyWhateverItsPriorityAndHoweverLongItWaits) {
  AskInBackground(/*priority=*/-100);
  AskInBackground();
  Wait(absl::Minutes(5));
  AskWithPriority(50);
  Ask();
  EXPECT_EQ(board_.background_waiting_count(), 2);
  EXPECT_THAT(DrainTheLine(), ElementsAre(5, 4, 2, 3));
}

TEST_F(BackgroundTest, NeverTakesTheLastSlotWhileAChatWaits) {
  AskInBackground();
  for (int i = 0; i < 20; ++i) {  // a chat waits whenever the slot comes free
    const SlotBoard::Ticket chat = Ask();
    board_.Release(0, now_);
    const auto decisions = board_.Settle(now_);
    ASSERT_EQ(decisions.size(), 1u);
    EXPECT_EQ(decisions[0].ticket, chat);
    Wait(absl::Seconds(5));
  }
  board_.Release(0, now_);
  EXPECT_THAT(Settle(), ElementsAre("2:0"));
}

TEST_F(BackgroundTest, OneThatHasLostItsInstanceIsFirstLikeAnyOther) {
  Ask();
  EXPECT_OK(
      board_.Enqueue(now_, {.moved = true, .patience = absl::Seconds(30), .background = true}));
  EXPECT_THAT(DrainTheLine(), ElementsAre(3, 2));
}

TEST_F(SlotBoardTest, ExplainsWithoutChangingAnything) {
  Instances({2, 2, 2, 2});
  Report(1, 2);
  board_.SetMake(2, 7);
  Lose(3);
  for (int i = 0; i < 3; ++i) {
    const SlotBoard::Explanation explanation = board_.Explain({.make = 0}, now_);
    ASSERT_EQ(explanation.verdicts.size(), 4u);
    EXPECT_EQ(explanation.verdicts[0].fitness, SlotBoard::Fitness::kFree);
    EXPECT_EQ(explanation.verdicts[1].load, 2);
    EXPECT_EQ(explanation.verdicts[2].fitness, SlotBoard::Fitness::kOtherMake);
    EXPECT_EQ(explanation.verdicts[3].fitness, SlotBoard::Fitness::kNotServing);
    ASSERT_TRUE(explanation.verdicts[0].score.has_value());
    ASSERT_TRUE(explanation.verdicts[1].score.has_value());
    EXPECT_GT(explanation.verdicts[0].score->score, explanation.verdicts[1].score->score);
    EXPECT_FALSE(explanation.verdicts[2].score.has_value());
    ASSERT_TRUE(explanation.choice.has_value());
    EXPECT_EQ(explanation.choice->instance, 0);
    EXPECT_EQ(explanation.position, 0);
  }
  EXPECT_EQ(board_.in_flight(0), 0);
}

TEST_F(SlotBoardTest, ExplainsWhereInTheLineARequestWouldBe) {
  Instances({1});
  Ask();
  Settle();
  Ask();
  EXPECT_EQ(board_.Explain(SlotRequest(), now_).position, 2);
  EXPECT_EQ(board_.Explain({.priority = -1}, now_).position, 1);
  EXPECT_EQ(board_.Explain({.background = true}, now_).position, 2);
  EXPECT_FALSE(board_.Explain(SlotRequest(), now_).choice.has_value());
}

TEST_F(SlotBoardTest, ExpectsToWaitAsLongAsTheLineTakesToDrain) {
  Instances({1});
  EXPECT_EQ(board_.ExpectedWait(now_), std::nullopt);
  Ask();
  Settle();
  for (int i = 0; i < 60; ++i) {  // a slot every two seconds
    Wait(absl::Seconds(2));
    board_.Release(0, now_);
    Ask();
    Settle();
  }
  Ask();
  Ask();
  ASSERT_TRUE(board_.ExpectedWait(now_).has_value());
  EXPECT_NEAR(absl::ToDoubleSeconds(*board_.ExpectedWait(now_)), 6, 0.5);
  Wait(absl::Minutes(30));  // and none any more: no longer than the queue time-out all the same
  EXPECT_EQ(board_.ExpectedWait(now_), absl::Seconds(60));
}

}  // namespace
}  // namespace vallm::gateway
