#include "tools/serve/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "common/signals.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::tools {
namespace {

using ::vallm::testing::StatusIs;

class SupervisorTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { BlockTerminationSignals(); }

  void SetUp() override {
    std::string path = ::testing::TempDir() + "supervisor_XXXXXX";
    dir_ = mkdtemp(path.data());
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  // A child that runs a shell script; `$DIR` in it is a fresh directory.
  SupervisedChild Shell(const std::string& name, const std::string& script, int phase = 0) const {
    SupervisedChild child;
    child.spec = {.name = name,
                  .argv = {"/bin/sh", "-c", script},
                  .environment = {"PATH=/usr/bin:/bin", "DIR=" + dir_},
                  .output_path = dir_ + "/" + name + ".out"};
    child.stop_phase = phase;
    child.stop_grace = absl::Seconds(5);
    return child;
  }

  std::string Read(const std::string& name) const {
    std::ifstream file(dir_ + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  // Waits for a file that a child writes in one go.
  std::string Await(const std::string& name) const {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (Read(name).empty() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(2));
    return Read(name);
  }

  static bool Exists(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    if (!std::getline(stat, text)) return false;
    return text.find(") Z ") == std::string::npos;  // a zombie is gone, only not collected
  }

  static bool Disappears(pid_t pid) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (Exists(pid) && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(2));
    return !Exists(pid);
  }

  // Waits for events until one of `kind` came; fails after ten seconds.
  // The next event of that kind; those before it are forgotten, those after it that came at once
  // are kept.
  Supervisor::Event WaitFor(Supervisor& supervisor, Supervisor::Event::Kind kind) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (absl::Now() < deadline) {
      while (!events_.empty()) {
        const Supervisor::Event event = std::move(events_.front());
        events_.pop_front();
        if (event.kind == kind) return event;
      }
      for (Supervisor::Event& event : supervisor.Wait(absl::Seconds(1))) {
        events_.push_back(std::move(event));
      }
    }
    ADD_FAILURE() << "the event did not come";
    return {};
  }

  std::vector<std::string> Stop(Supervisor& supervisor) {
    std::vector<std::string> lines;
    supervisor.Shutdown([&lines](const std::string& line) { lines.push_back(line); });
    return lines;
  }

  std::string dir_;
  std::deque<Supervisor::Event> events_;  // that nobody has waited for yet
};

using Kind = Supervisor::Event::Kind;

TEST_F(SupervisorTest, StartsAKilledChildAgainAndLeavesTheOthersAlone) {
  auto supervisor = Supervisor::Start({Shell("a", "exec sleep 60"), Shell("b", "exec sleep 60")});
  ASSERT_OK(supervisor);
  const pid_t a = (*supervisor)->pid(0);
  const pid_t b = (*supervisor)->pid(1);
  kill(a, SIGKILL);
  const Supervisor::Event exited = WaitFor(**supervisor, Kind::kExited);
  EXPECT_EQ(exited.child, 0);
  EXPECT_EQ(exited.exit.ToString(), "was killed by signal 9 (Killed)");
  EXPECT_EQ(exited.restart_delay, absl::ZeroDuration());
  EXPECT_EQ(WaitFor(**supervisor, Kind::kRestarted).child, 0);
  EXPECT_NE((*supervisor)->pid(0), a);
  EXPECT_EQ((*supervisor)->pid(1), b);
  EXPECT_TRUE(Exists(b));
}

TEST_F(SupervisorTest, KillsAStoppedChildWithItsGroupAndStartsItAgain) {
  auto supervisor = Supervisor::Start(
      {Shell("a", "sleep 60 & echo $! > $DIR/helper; kill -STOP $$; echo went on >> $DIR/woken")});
  ASSERT_OK(supervisor);
  const pid_t helper = static_cast<pid_t>(std::stoi(Await("helper")));
  const pid_t a = (*supervisor)->pid(0);
  (*supervisor)->Kill(0);
  EXPECT_EQ(WaitFor(**supervisor, Kind::kExited).exit.ToString(),
            "was killed by signal 9 (Killed)");
  (*supervisor)->Kill(0);  // there is nothing to kill until it is started again
  EXPECT_EQ(WaitFor(**supervisor, Kind::kRestarted).child, 0);
  EXPECT_TRUE(Disappears(a));
  EXPECT_TRUE(Disappears(helper));
  EXPECT_EQ(Read("woken"), "");
}

TEST_F(SupervisorTest, WaitsBeforeTheSecondRestart) {
  auto supervisor = Supervisor::Start({Shell("a", "exit 3")});
  ASSERT_OK(supervisor);
  EXPECT_EQ(WaitFor(**supervisor, Kind::kExited).exit.ToString(), "exited with status 3");
  WaitFor(**supervisor, Kind::kRestarted);
  const absl::Time second_exit = absl::Now();
  EXPECT_EQ(WaitFor(**supervisor, Kind::kExited).restart_delay, absl::Milliseconds(500));
  EXPECT_EQ((*supervisor)->pid(0), 0);
  WaitFor(**supervisor, Kind::kRestarted);
  EXPECT_GE(absl::Now() - second_exit, absl::Milliseconds(500));
}

TEST_F(SupervisorTest, KillsWhatACrashedChildLeavesBehind) {
  auto supervisor = Supervisor::Start({Shell("a", "sleep 60 & echo $! > $DIR/grandchild; wait")});
  ASSERT_OK(supervisor);
  const pid_t grandchild = std::stoi(Await("grandchild"));
  ASSERT_TRUE(Exists(grandchild));
  kill((*supervisor)->pid(0), SIGKILL);
  WaitFor(**supervisor, Kind::kExited);
  EXPECT_TRUE(Disappears(grandchild));
}

TEST_F(SupervisorTest, ReplacesAChildGentlyAndAtOnce) {
  auto supervisor = Supervisor::Start(
      {Shell("a", "trap 'echo bye > $DIR/bye; exit 0' TERM; echo up > $DIR/up; sleep 60 & wait"),
       Shell("b", "exec sleep 60")});
  ASSERT_OK(supervisor);
  Await("up");
  const pid_t b = (*supervisor)->pid(1);
  (*supervisor)->Replace(0, Shell("a", "echo next > $DIR/next; exec sleep 60"));
  EXPECT_EQ(WaitFor(**supervisor, Kind::kStopped).child, 0);
  EXPECT_EQ(Read("bye"), "bye\n");
  EXPECT_EQ(WaitFor(**supervisor, Kind::kRestarted).child, 0);
  EXPECT_EQ(Await("next"), "next\n");
  EXPECT_EQ((*supervisor)->pid(1), b);
}

TEST_F(SupervisorTest, KillsAChildThatIsReplacedAndDoesNotStop) {
  SupervisedChild deaf = Shell("a", "trap '' TERM; echo up > $DIR/up; sleep 60");
  deaf.stop_grace = absl::Milliseconds(20);
  auto supervisor = Supervisor::Start({deaf});
  ASSERT_OK(supervisor);
  Await("up");
  (*supervisor)->Replace(0, Shell("a", "exec sleep 60"));
  EXPECT_EQ(WaitFor(**supervisor, Kind::kStopped).exit.ToString(),
            "was killed by signal 9 (Killed)");
  WaitFor(**supervisor, Kind::kRestarted);
}

TEST_F(SupervisorTest, AReplacementDoesNotWaitForTheBackOff) {
  auto supervisor = Supervisor::Start({Shell("a", "exit 3")});
  ASSERT_OK(supervisor);
  for (int i = 0; i < 3; ++i) WaitFor(**supervisor, Kind::kExited);  // the next wait is a second
  const absl::Time begin = absl::Now();
  (*supervisor)->Replace(0, Shell("a", "exec sleep 60"));
  WaitFor(**supervisor, Kind::kRestarted);
  EXPECT_LT(absl::Now() - begin, absl::Milliseconds(900));
  EXPECT_NE((*supervisor)->pid(0), 0);
}

TEST_F(SupervisorTest, ChildrenComeAndGo) {
  auto supervisor = Supervisor::Start({Shell("a", "exec sleep 60")});
  ASSERT_OK(supervisor);
  ASSERT_OK((*supervisor)->Add(Shell("b", "exec sleep 60")));
  const pid_t b = (*supervisor)->pid(1);
  (*supervisor)->Retire(0);
  EXPECT_EQ(WaitFor(**supervisor, Kind::kStopped).child, 0);
  EXPECT_EQ((*supervisor)->pid(0), 0);
  (*supervisor)->Replace(0, Shell("a", "exec sleep 60"));  // it is gone for good
  EXPECT_TRUE((*supervisor)->Wait(absl::Milliseconds(20)).empty());
  EXPECT_EQ((*supervisor)->pid(1), b);
  Stop(**supervisor);
  EXPECT_TRUE(Disappears(b));
}

TEST_F(SupervisorTest, WritesToADescriptorWhereOneIsGiven) {
  const int fd = open((dir_ + "/mine").c_str(), O_CREAT | O_WRONLY, 0600);
  SupervisedChild child = Shell("a", "echo out; echo err >&2; exec sleep 60");
  child.spec.output_fd = fd;
  auto supervisor = Supervisor::Start({child});
  ASSERT_OK(supervisor);
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (Read("mine") != "out\nerr\n" && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  EXPECT_EQ(Read("mine"), "out\nerr\n");
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/a.out"));
  close(fd);
}

TEST_F(SupervisorTest, StopsPhaseByPhase) {
  // Each child says when it was told, and takes its time: without phases "late" would be first.
  auto supervisor =
      Supervisor::Start({Shell("late",
                               "trap 'echo late >> $DIR/order; exit 0' TERM; echo up > $DIR/late; "
                               "while :; do sleep 0.01; done",
                               /*phase=*/1),
                         Shell("early",
                               "trap 'sleep 0.2; echo early >> $DIR/order; exit 0' TERM; "
                               "echo up > $DIR/early; while :; do sleep 0.01; done",
                               /*phase=*/0)});
  ASSERT_OK(supervisor);
  Await("late");
  Await("early");
  EXPECT_EQ(Stop(**supervisor).size(), 2u);
  EXPECT_EQ(Read("order"), "early\nlate\n");
}

TEST_F(SupervisorTest, KillsTheGroupOfAChildThatDoesNotStopInTime) {
  SupervisedChild stubborn =
      Shell("stubborn", "trap '' TERM; sleep 60 & echo $! > $DIR/pid; while :; do sleep 1; done");
  stubborn.stop_grace = absl::Milliseconds(100);
  auto supervisor = Supervisor::Start({stubborn});
  ASSERT_OK(supervisor);
  const pid_t grandchild = std::stoi(Await("pid"));
  const pid_t child = (*supervisor)->pid(0);
  const std::vector<std::string> lines = Stop(**supervisor);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1], "stubborn did not stop within 100ms: killed");
  EXPECT_FALSE(Exists(child));
  EXPECT_TRUE(Disappears(grandchild));
}

TEST_F(SupervisorTest, ASignalDuringShutdownKillsEverythingAtOnce) {
  auto supervisor = Supervisor::Start(
      {Shell("stubborn", "trap '' TERM; echo up > $DIR/up; while :; do sleep 1; done"),
       Shell("last", "exec sleep 60", /*phase=*/1)});
  ASSERT_OK(supervisor);
  Await("up");
  const pid_t stubborn = (*supervisor)->pid(0);
  const pid_t last = (*supervisor)->pid(1);
  const absl::Time begin = absl::Now();
  kill(getpid(), SIGINT);
  const std::vector<std::string> lines = Stop(**supervisor);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(4));  // the grace is five seconds
  EXPECT_EQ(lines.back(), "killing all processes");
  EXPECT_FALSE(Exists(stubborn));
  EXPECT_FALSE(Exists(last));
}

TEST_F(SupervisorTest, ReportsATerminationSignal) {
  auto supervisor = Supervisor::Start({Shell("a", "exec sleep 60")});
  ASSERT_OK(supervisor);
  kill(getpid(), SIGTERM);
  EXPECT_EQ(WaitFor(**supervisor, Kind::kSignal).signal_number, SIGTERM);
}

TEST_F(SupervisorTest, DiesWithItsParent) {
  // A process of its own supervises and is killed: its children must not survive.
  const pid_t parent = fork();
  if (parent == 0) {
    auto supervisor = Supervisor::Start({Shell("a", "echo $$ > $DIR/pid; exec sleep 60")});
    while (true) pause();
  }
  const pid_t child = std::stoi(Await("pid"));
  ASSERT_TRUE(Exists(child));
  kill(parent, SIGKILL);
  EXPECT_TRUE(Disappears(child));
}

TEST_F(SupervisorTest, RefusesAProgramThatDoesNotExist) {
  SupervisedChild child = Shell("a", "");
  child.spec.argv = {dir_ + "/absent"};
  EXPECT_THAT(Supervisor::Start({Shell("b", "exec sleep 60"), child}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "/absent: No such file"));
}

TEST_F(SupervisorTest, GivesChildrenTheirOwnEnvironmentMaskAndOutput) {
  SupervisedChild child = Shell("a",
                                "grep SigBlk /proc/self/status; echo \"$NAME\" >&2; "
                                "cat; echo up > $DIR/up; exec sleep 60");
  child.spec.environment.push_back("NAME=value");
  auto supervisor = Supervisor::Start({child});
  ASSERT_OK(supervisor);
  Await("up");
  EXPECT_EQ(Read("a.out"), "SigBlk:\t0000000000000000\nvalue\n");
}

}  // namespace
}  // namespace vallm::tools
