#include "engine_service/executor/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

std::unique_ptr<WorkerProcess> Shell(const std::string& script, int fd = STDERR_FILENO) {
  return WorkerProcess::Start("/bin/sh", {"-c", script}, fd).value();
}

TEST(WorkerProcessTest, SaysHowTheChildEnded) {
  const auto child = Shell("exit 7");
  ASSERT_TRUE(child->WaitForExit(absl::Seconds(10)));
  EXPECT_EQ(child->HowItEnded(), "exited with status 7");
  EXPECT_EQ(child->HowItEnded(), "exited with status 7") << "asking does not reap";
  const auto killed = Shell("kill -9 $$");
  ASSERT_TRUE(killed->WaitForExit(absl::Seconds(10)));
  EXPECT_THAT(killed->HowItEnded(), HasSubstr("was killed by signal 9"));
}

TEST(WorkerProcessTest, ARunningChildIsKilledAndReapedByTheDestructor) {
  auto child = Shell("exec sleep 1000");
  EXPECT_EQ(child->HowItEnded(), "");
  EXPECT_FALSE(child->WaitForExit(absl::ZeroDuration()));
  const pid_t pid = child->pid();
  child.reset();
  EXPECT_NE(kill(pid, 0), 0);
  EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), -1) << "a zombie was left";
}

TEST(WorkerProcessTest, TheChildInheritsOneDescriptorAndNoSignalMask) {
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  const int leaked = fcntl(fds[1], F_DUPFD, 100);  // not close-on-exec
  sigset_t term, before;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, &before);
  const auto child = Shell(absl::StrCat("[ -e /proc/self/fd/", leaked,
                                        " ] && echo leaked >&3; grep SigBlk /proc/self/status >&3"),
                           fds[1]);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  close(leaked);
  close(fds[1]);
  std::string text;
  char buffer[512];
  for (ssize_t n; (n = read(fds[0], buffer, sizeof(buffer))) > 0;) text.append(buffer, n);
  close(fds[0]);
  EXPECT_EQ(text, "SigBlk:\t0000000000000000\n");
}

TEST(WorkerProcessTest, FindsBinariesBesideItself) {
  EXPECT_OK(FindSiblingBinary("worker_group_test"));
  EXPECT_THAT(FindSiblingBinary("no-such-binary"),
              StatusIs(absl::StatusCode::kNotFound, "no-such-binary is not beside"));
}

// A parent that is killed with SIGKILL takes its child with it. The parent is a fork of this test;
// the child is the scripted worker, which binds itself.
TEST(WorkerProcessTest, AChildDoesNotSurviveItsKilledParent) {
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    const auto child = WorkerProcess::Start(
        SCRIPTED_WORKER,
        {absl::StrCat("--parent-pid=", getpid()), "--behaviour=bind-and-pause", "--rank=0"},
        fds[1]);
    if (!child.ok()) _exit(1);
    pause();
    _exit(0);
  }
  close(fds[1]);
  char ready = 0;
  ASSERT_EQ(read(fds[0], &ready, 1), 1) << "the child is up and bound";
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  // The child holds the only write end: end of file means that it is gone.
  pollfd entry{.fd = fds[0], .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&entry, 1, 5000), 1) << "the child lives on";
  EXPECT_EQ(read(fds[0], &ready, 1), 0);
  close(fds[0]);
}

}  // namespace
}  // namespace vallm::engine
