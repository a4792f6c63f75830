// Every flag of `vallm bench sweep` has its effect.
#include "tools/bench/sweep_command.h"

#include <cstdlib>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/tools/bench/flag_cases.h"

namespace vallm::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kModel = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";

// The cells that --dry-run lists as fitting.
std::vector<std::string> Cells(const BenchRun& run) {
  std::vector<std::string> cells;
  for (const absl::string_view line : absl::StrSplit(run.output, '\n')) {
    if (absl::EndsWith(line, "to measure")) cells.emplace_back(line.substr(0, line.find(' ')));
  }
  return cells;
}

class SweepFlagsTest : public ::testing::Test {
 protected:
  SweepFlagsTest()
      : fixture_(RunBenchSweep,
                 {"--tokenizer=" + kModel, "--concurrency=1", "--input-lens=6", "--output-lens=4",
                  "--prompts-per-concurrency=2", "--skip-initial-test"},
                 "c1_i6o4.json") {
    unsetenv("OPENAI_API_KEY");
  }

  std::vector<FlagCase> MatrixCases() const {
    const auto cells = [](auto matcher) {
      return [matcher](const BenchRun& run) { EXPECT_THAT(Cells(run), matcher); };
    };
    const std::string other = fixture_.dir().path("other");
    return {
        {{"--dry-run"},
         [](const BenchRun& run) {
           EXPECT_THAT(Cells(run), ElementsAre("c1_i6o4"));
           EXPECT_THAT(run.requests, IsEmpty());
         }},
        {{"--dry-run", "--concurrency=3,2"}, cells(ElementsAre("c3_i6o4", "c2_i6o4"))},
        {{"--dry-run", "--no=concurrency", "--service-num=2"},
         cells(ElementsAre("c8_i6o4", "c4_i6o4", "c2_i6o4", "c1_i6o4"))},
        {{"--dry-run", "--input-lens=7,8"}, cells(ElementsAre("c1_i7o4", "c1_i8o4"))},
        {{"--dry-run", "--output-lens=5,9"}, cells(ElementsAre("c1_i6o5", "c1_i6o9"))},
        {{"--dry-run", "--input-lens=6,60", "--max-model-len=50"}, cells(ElementsAre("c1_i6o4"))},
        {{"--dry-run", "--input-lens=6,60", "--max-input-len=50"}, cells(ElementsAre("c1_i6o4"))},
        {{"--dry-run", "--concurrency=1,4", "--max-seqlen=39"}, cells(ElementsAre("c1_i6o4"))},
        {{"--prompts-per-concurrency=4"},
         [](const BenchRun& run) { EXPECT_THAT(run.requests, SizeIs(4)); }},
        {{"--stop-at-eos"},
         [](const BenchRun& run) { EXPECT_TRUE(run.Sent("ignore_eos").is_null()); }},
        {{"--result-dir=" + other},
         [other](const BenchRun&) { EXPECT_TRUE(std::filesystem::exists(other + "/sweep.json")); }},
    };
  }

  BenchFixture fixture_;
};

TEST_F(SweepFlagsTest, CommonFlags) {
  fixture_.Check(CommonFlagCases(fixture_));
  CheckCommonFlags(fixture_);
}

TEST_F(SweepFlagsTest, Matrix) { fixture_.Check(MatrixCases()); }

// The server says how long a request may be, where no flag does.
TEST_F(SweepFlagsTest, TheServersLimit) {
  fixture_.fake().max_model_len = 9;
  EXPECT_THAT(fixture_.Run({}).errors, HasSubstr("10 tokens > 9 of a request"));
}

// A result with other parameters is not this sweep's.
TEST_F(SweepFlagsTest, MeasuresAgainWithOtherParameters) {
  const std::string kept = "--result-dir=" + fixture_.dir().path("kept");
  EXPECT_THAT(fixture_.Run({kept}).requests, SizeIs(2));
  EXPECT_THAT(fixture_.Run({kept}).requests, IsEmpty());
  for (const char* flag : {"--temperature=0.5", "--top-p=0.5", "--extra-body={\"min_tokens\": 1}",
                           "--backend=openai-chat", "--stop-at-eos"}) {
    EXPECT_THAT(fixture_.Run({kept, flag}).requests, SizeIs(2)) << flag;
    EXPECT_THAT(fixture_.Run({kept, flag}).requests, IsEmpty()) << flag;
  }
}

TEST_F(SweepFlagsTest, RefusesAContradiction) {
  const BenchRun run = fixture_.Run({"--ignore-eos", "--stop-at-eos"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.errors, HasSubstr("--stop-at-eos"));
}

TEST_F(SweepFlagsTest, NoFlagIsWithoutATest) {
  std::set<std::string> tested = CheckCommonFlags(fixture_);
  for (const auto& cases : {CommonFlagCases(fixture_), MatrixCases()}) {
    tested.merge(FlagsOfCases(cases));
  }
  tested.erase("--no");
  EXPECT_EQ(testing::FlagsOf(RunBenchSweep), tested);
}

}  // namespace
}  // namespace vallm::tools
