#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tools/eval/code/code_tests.h"
#include "tools/eval/code/pickled_text.h"
#include "tools/eval/code/python_sandbox.h"
#include "tools/eval/data/rows.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

// Whether a process lives and has left the code of this test for Python's.
bool IsPython(pid_t pid) {
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string text;
  std::getline(stat, text);
  const size_t name_end = text.rfind(')');
  return text.find("(python") != std::string::npos && text.substr(name_end, 3) != ") Z";
}

class SandboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto sandbox = PythonSandbox::Create();
    if (!sandbox.ok()) GTEST_SKIP() << sandbox.status();
    sandbox_ = std::make_unique<PythonSandbox>(*std::move(sandbox));
  }

  RunResult Run(const std::string& script, const std::string& input = "", RunLimits limits = {}) {
    auto result = sandbox_->Run(script, input, limits);
    EXPECT_THAT(result, IsOk());
    return *std::move(result);
  }
  // Runs what must be refused.
  std::string ErrorOf(const std::string& script) {
    const RunResult result = Run(script);
    EXPECT_NE(result.code, 0) << script << result.output;
    return result.error_output;
  }

  std::unique_ptr<PythonSandbox> sandbox_;
};

TEST_F(SandboxTest, RunsProgramsOnTheirInput) {
  const RunResult result = Run("print(input()[::-1])", "abc\n");
  EXPECT_EQ(result.end, RunResult::kExited);
  EXPECT_EQ(result.output, "cba\n");
}

TEST_F(SandboxTest, KeepsLimits) {
  EXPECT_EQ(Run("while True: pass", "", {.time = absl::Seconds(1)}).end, RunResult::kTimedOut);
  EXPECT_EQ(Run("import time; time.sleep(60)", "", {.time = absl::Seconds(1)}).end,
            RunResult::kTimedOut);
  EXPECT_EQ(Run("while True: print('x' * 1000)", "", {.output_bytes = 100000}).end,
            RunResult::kTooMuchOutput);
  EXPECT_THAT(Run("x = 'a' * 10**9", "", {.memory_bytes = int64_t{512} << 20}).error_output,
              HasSubstr("MemoryError"));
}

TEST_F(SandboxTest, RefusesHarm) {
  for (const char* script :
       {"import socket; socket.socket()", "open('/etc/passwd').read()",
        "open('/tmp/vallm_sandbox_test', 'w')", "import os; os.fork()",
        "import subprocess; subprocess.run(['/bin/true'])", "import os; os.listdir('/')",
        "import os; os.kill(os.getppid(), 9)", "import os; os.unlink('/tmp/x')",
        "import os; os.execv('/bin/ls', ['ls'])"}) {
    EXPECT_THAT(ErrorOf(script), HasSubstr("PermissionError")) << script;
  }
}

TEST_F(SandboxTest, RefusesCallsThatReachOutOfTheProcess) {
  const std::string begin =
      "import ctypes, os, errno\n"
      "c = ctypes.CDLL(None, use_errno=True)\n"
      "def refused(name, *args):\n"
      "  ctypes.set_errno(0)\n"
      "  r = getattr(c, name)(*args)\n"
      "  assert r == -1 and ctypes.get_errno() == errno.EPERM, (name, r, ctypes.get_errno())\n"
      "p = os.getppid()\n";
  // Signal 0 asks for leave to send one.
  for (const char* call :
       {"refused('tgkill', p, p, 0)", "refused('sigqueue', p, 0, 0)",
        "refused('ptrace', 16, p, 0, 0)", "refused('inotify_init1', 0)", "refused('chdir', b'/')",
        "refused('memfd_create', b'x', 0)", "refused('prctl', 1, 0, 0, 0, 0)",
        "refused('socketpair', 1, 1, 0, 0)", "refused('setsid')", "refused('setpriority', 0, p, 5)",
        "refused('process_vm_readv', p, 0, 0, 0, 0, 0)", "refused('fanotify_init', 0, 0)",
        "refused('ioctl', 0, 0x5412, b'x')"}) {
    const RunResult result = Run(begin + call);
    EXPECT_EQ(result.code, 0) << call << result.error_output;
  }
  // The kernel sends a signal of one's choice to whoever "owns" a pipe.
  EXPECT_THAT(ErrorOf("import fcntl, os\n"
                      "fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid())"),
              HasSubstr("PermissionError"));
  // A pointer whose low half is zero is not null.
  const RunResult limit = Run(begin +
                              "c.mmap.restype = ctypes.c_void_p\n"
                              "c.mmap.argtypes = [ctypes.c_void_p] + [ctypes.c_long] * 5\n"
                              "a = c.mmap(0x7e0000000000, 4096, 3, 0x100022, -1, 0)\n"
                              "assert a == 0x7e0000000000\n"
                              "ctypes.memset(a, 127, 16)\n"
                              "c.prlimit.argtypes = [ctypes.c_long] * 2 + [ctypes.c_void_p] * 2\n"
                              "refused('prlimit', p, 4, a, 0)\n");
  EXPECT_EQ(limit.code, 0) << limit.error_output;
}

TEST_F(SandboxTest, LimitsThreads) {
  EXPECT_EQ(Run("import threading, time\n"
                "threading.stack_size(32768)\n"
                "while True: threading.Thread(target=time.sleep, args=(5,)).start()")
                .end,
            RunResult::kTooManyThreads);
  EXPECT_EQ(Run("import threading, sys\n"
                "threading.stack_size(64 << 20)\n"
                "sys.setrecursionlimit(10**6)\n"
                "def depth(n): return n and 1 + depth(n - 1)\n"
                "t = threading.Thread(target=lambda: print(depth(20000)))\n"
                "t.start(); t.join()")
                .output,
            "20000\n");
}

TEST_F(SandboxTest, LetsTheLibraryWork) {
  const RunResult result =
      Run("import datetime, decimal, hashlib, heapq, random, secrets, select, time, uuid, zlib\n"
          "import signal\n"
          "from concurrent.futures import ThreadPoolExecutor\n"
          "with ThreadPoolExecutor(4) as p: print(sum(p.map(abs, range(-9, 0))))\n"
          "secrets.token_hex(2), uuid.uuid4(), datetime.datetime.now(), time.sleep(0.001)\n"
          "signal.signal(signal.SIGALRM, lambda *a: print('late') or exit(5))\n"
          "signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
          "while True: pass");
  EXPECT_EQ(result.output, "45\nlate\n");
  EXPECT_EQ(result.code, 5) << result.error_output;
}

TEST_F(SandboxTest, ProgramsDieWithTheEvaluation) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t evaluation = fork();
  if (evaluation == 0) {
    // Its file descriptors are not handed on, so that only it holds this end of the pipe.
    fcntl(ready[1], F_SETFD, FD_CLOEXEC);
    close(ready[0]);
    std::thread kill_soon([&] {
      while (true) {
        std::ifstream children(absl::StrCat("/proc/self/task/", getpid(), "/children"));
        pid_t child = 0;
        if (children >> child && IsPython(child)) {
          if (write(ready[1], &child, sizeof(child)) < 0) _exit(1);
          kill(getpid(), SIGKILL);
        }
        absl::SleepFor(absl::Milliseconds(2));
      }
    });
    (void)sandbox_->Run("import time; time.sleep(600)", "", {.time = absl::Seconds(600)});
    _exit(0);
  }
  close(ready[1]);
  pid_t program = 0;
  ASSERT_EQ(read(ready[0], &program, sizeof(program)), sizeof(program));
  waitpid(evaluation, nullptr, 0);
  close(ready[0]);
  for (int i = 0; i < 2000 && IsPython(program); ++i) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_FALSE(IsPython(program));
}

TEST_F(SandboxTest, SaysWhenTheKernelHasNoLandlock) {
  const pid_t child = fork();
  if (child == 0) {
    const sock_filter filter[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                                  {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_landlock_create_ruleset},
                                  {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
                                  {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    const sock_fprog program = {.len = 4, .filter = const_cast<sock_filter*>(filter)};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(2);
    const auto refused = PythonSandbox::Create();
    const auto reading = PythonSandbox::Create({.allow_reading_files = true});
    if (refused.ok() || refused.status().message().find("no Landlock") == std::string::npos) {
      _exit(3);
    }
    if (!reading.ok()) _exit(4);
    // Files can be read then; all else is refused as before.
    if (reading->Run("open('/etc/passwd').read()", "", {})->code != 0) _exit(5);
    if (reading->Run("import os; os.kill(os.getppid(), 0)", "", {})->code == 0) _exit(6);
    if (reading->Run("open('/tmp/vallm_sandbox_test', 'w')", "", {})->code == 0) _exit(7);
    if (reading->Run("import os; os.fork()", "", {})->code == 0) _exit(8);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(SandboxTest, JudgesPrograms) {
  const CodeProblem sum{
      .tests = {{.input = "1 2\n", .output = "3"}, {.input = "2 2\n", .output = "4\n"}},
      .function = ""};
  const auto verdict = [&](const std::string& code) {
    return *RunCodeTests(*sandbox_, sum, code, RunLimits{.time = absl::Seconds(3)});
  };
  EXPECT_TRUE(verdict("print(sum(map(int, input().split())))").passed);
  EXPECT_TRUE(verdict("if __name__ == '__main__':\n  print(sum(map(int, "
                      "sys.stdin.buffer.read().split())))\n  exit()")
                  .passed);
  EXPECT_THAT(verdict("print(3)").note, HasSubstr("test 2 of 2: wrong answer: 3; expected 4"));
  EXPECT_THAT(verdict("1/0").note, HasSubstr("ZeroDivisionError"));
  EXPECT_THAT(verdict("while 1: pass").note, HasSubstr("time limit"));
  EXPECT_THAT(verdict(" \n").note, HasSubstr("no code"));
}

TEST_F(SandboxTest, JudgesFunctions) {
  const CodeProblem twice{.tests = {{.input = "[1, 2]", .output = "[2, 4]"}}, .function = "twice"};
  const auto passes = [&](const std::string& code) {
    return RunCodeTests(*sandbox_, twice, code, RunLimits())->passed;
  };
  EXPECT_TRUE(passes(
      "class Solution:\n  def twice(self, x: List[int]): print('noise'); return [2*i for i in x]"));
  EXPECT_TRUE(passes("def twice(x): return tuple(2.0 * i for i in x)"));
  EXPECT_FALSE(passes("def twice(x): return x"));
  EXPECT_FALSE(passes("def twice(x): return [(2,), 4]"));
  EXPECT_FALSE(passes("def once(x): return [2, 4]"));
  EXPECT_TRUE(
      passes("from fractions import Fraction\n"
             "from decimal import Decimal\n"
             "def twice(x): return [Fraction(4, 2), Decimal('4.0')]"));
  EXPECT_TRUE(passes("def twice(x): return [complex(2), 4]"));
  EXPECT_FALSE(passes("def twice(x): return [complex(2, 1), 4]"));
}

TEST_F(SandboxTest, ResultsAreEqualAsInPython) {
  const auto passes = [&](const std::string& code, const std::string& expected) {
    const CodeProblem problem{.tests = {{.input = "1", .output = expected}}, .function = "f"};
    return RunCodeTests(*sandbox_, problem, "def f(x): return " + code, RunLimits())->passed;
  };
  EXPECT_TRUE(passes("[10**30, 1]", "[1000000000000000000000000000000,1]"));
  EXPECT_FALSE(passes("[10**30 + 1, 1]", "[1000000000000000000000000000000, 1]"));
  EXPECT_TRUE(passes("-10**18", "-1000000000000000000"));
  EXPECT_TRUE(passes("'12345678901234567890 \\\\ \"'", R"("12345678901234567890 \\ \"")"));
  EXPECT_TRUE(passes("{'1': 2}", R"({"1": 2})"));
  EXPECT_FALSE(passes("{1: 2}", R"({"1": 2})"));
  EXPECT_FALSE(passes("float('nan')", "NaN"));
}

TEST(PythonSandboxTest, SaysWhenThereIsNoPython) {
  EXPECT_THAT(PythonSandbox::Create({.python = "no-such-python"}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "no-such-python"));
}

TEST_F(SandboxTest, AVirtualEnvironmentKeepsItsPackages) {
  const std::filesystem::path venv = std::filesystem::path(::testing::TempDir()) / "sandbox_venv";
  std::filesystem::remove_all(venv);
  std::filesystem::create_directories(venv / "bin");
  std::filesystem::create_symlink(sandbox_->python(), venv / "bin/python");
  const auto folder = std::filesystem::path(sandbox_->python()).parent_path();
  std::ofstream(venv / "pyvenv.cfg") << "home = " << folder.string() << "\n";
  const RunResult where = Run("import sys; print('%d.%d' % sys.version_info[:2], end='')");
  const auto packages = venv / "lib" / ("python" + where.output) / "site-packages";
  std::filesystem::create_directories(packages);
  std::ofstream(packages / "only_here.py") << "value = 7\n";
  const auto inside = PythonSandbox::Create({.python = (venv / "bin/python").string()});
  ASSERT_THAT(inside, IsOk());
  const auto result = inside->Run("import only_here; print(only_here.value)", "", {});
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->output, "7\n") << result->error_output;
}

TEST(CodeTestsTest, ReadsPackedTests) {
  const auto rows = LoadRows(VALLM_TEST_DATA "/eval/live_code_bench/test.jsonl");
  ASSERT_THAT(rows, IsOk());
  const auto first = ParseCodeProblem(*(*rows)[0]);
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->tests.size(), 2U);
  EXPECT_EQ(first->tests[1].output, "6\n");
  const auto second = ParseCodeProblem(*(*rows)[1]);
  EXPECT_EQ(second->function, "twice");
  ordered_json broken = *(*rows)[0];
  broken["private_test_cases"] = "###";
  EXPECT_THAT(ParseCodeProblem(broken),
              StatusIs(absl::StatusCode::kInvalidArgument, "private_test_cases"));
}

TEST(CodeTestsTest, UnpicklesTextOnly) {
  EXPECT_EQ(*PickledText(std::string("\x80\x04\x8c\x02hi\x94.", 8)), "hi");
  EXPECT_FALSE(PickledText(std::string("\x80\x04\x8c\xffhi.", 7)).ok());
  EXPECT_FALSE(PickledText("cos\nsystem\n(S'ls'\ntR.").ok());
}

TEST(CodeTestsTest, ComparesOutputs) {
  EXPECT_TRUE(SameOutput("1.0 2\n", "1 2"));
  EXPECT_TRUE(SameOutput(" a \nb\n\n", "a\nb"));
  EXPECT_FALSE(SameOutput("a\nb", "a"));
  EXPECT_FALSE(SameOutput("50000000000000001", "50000000000000000"));
  EXPECT_TRUE(SameOutput("1e3", "1000.00"));
  EXPECT_TRUE(SameOutput("1_000", "1000"));
  EXPECT_FALSE(SameOutput("x", "y"));
}

TEST(CodeTestsTest, FindsTheFirstBlock) {
  EXPECT_EQ(ExtractCode("text\n```python\na\nb\n```\n```\nc\n```"), "a\nb");
  EXPECT_EQ(ExtractCode("```python\nopen"), "");
}

}  // namespace
}  // namespace vallm::eval
