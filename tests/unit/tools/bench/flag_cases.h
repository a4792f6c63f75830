// What each flag of `vallm bench serve` and `sweep` changes: in what the server gets, in the result
// or in what is printed. A flag that is only parsed fails its case.
#ifndef VALLM_TESTS_UNIT_TOOLS_BENCH_FLAG_CASES_H_
#define VALLM_TESTS_UNIT_TOOLS_BENCH_FLAG_CASES_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/testing/command_run.h"
#include "tests/testing/fake_openai.h"
#include "tests/testing/test_certificates.h"

namespace vallm::tools {

using Json = nlohmann::ordered_json;

// A run and what it left.
struct BenchRun : testing::CommandRun {
  std::vector<testing::FakeOpenAi::Request> requests;
  Json result;  // the file's, or null

  // Member `name` of the first request.
  Json Sent(const std::string& name) const;
};

struct FlagCase {
  std::vector<std::string> flags;  // "--name=value", in place of the base's
  std::function<void(const BenchRun& run)> effect;
};

// A fake server, a folder, and the command with arguments that make it succeed.
class BenchFixture {
 public:
  BenchFixture(testing::CommandMain command, std::vector<std::string> base, std::string result)
      : command_(command), base_(std::move(base)), result_(std::move(result)) {
    base_.push_back("--port=" + std::to_string(fake_.port()));
    base_.push_back("--result-dir=" + dir_.path("out"));
  }

  testing::FakeOpenAi& fake() { return fake_; }
  const testing::TestDirectory& dir() const { return dir_; }

  // With `flags` in place of the base's of the same name; "--no=NAME" only takes one away. The
  // result folder is empty before.
  BenchRun Run(const std::vector<std::string>& flags, bool terminal = false) const;
  // Runs each case and has its effect looked at.
  void Check(const std::vector<FlagCase>& cases) const;

 private:
  mutable testing::FakeOpenAi fake_;
  testing::TestDirectory dir_;
  const testing::CommandMain command_;
  std::vector<std::string> base_;
  const std::string result_;  // name of the file in the result folder
};

// Those of the flags that both commands have.
std::vector<FlagCase> CommonFlagCases(BenchFixture& fixture);
// Those that need more than one run, or another server: checked here, returned by name.
std::set<std::string> CheckCommonFlags(BenchFixture& fixture);

std::set<std::string> FlagsOfCases(const std::vector<FlagCase>& cases);

}  // namespace vallm::tools

#endif  // VALLM_TESTS_UNIT_TOOLS_BENCH_FLAG_CASES_H_
