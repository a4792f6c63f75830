#include <nlohmann/json.hpp>
#include <string>

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
}

TEST(PythonSandboxTest, SaysWhenThereIsNoPython) {
  EXPECT_THAT(PythonSandbox::Create({.python = "no-such-python"}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "no-such-python"));
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
  EXPECT_FALSE(SameOutput("x", "y"));
}

TEST(CodeTestsTest, FindsTheFirstBlock) {
  EXPECT_EQ(ExtractCode("text\n```python\na\nb\n```\n```\nc\n```"), "a\nb");
  EXPECT_EQ(ExtractCode("```python\nopen"), "");
}

}  // namespace
}  // namespace vallm::eval
