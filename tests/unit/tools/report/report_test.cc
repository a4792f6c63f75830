#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"
#include "tools/report/report_data.h"
#include "tools/report/report_page.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::StatusIs;

class ReportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = ::testing::TempDir() + "report_XXXXXX";
    dir_ = mkdtemp(path.data());
    std::filesystem::create_directories(dir_ + "/deep/er");
    std::filesystem::create_directories(dir_ + "/.hidden");
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name) << text;
  }

  std::string dir_;
};

// As vLLM writes it: no latencies.
constexpr char kBench[] =
    R"({"duration": 2, "completed": 2, "output_throughput": 3, "total_output_tokens": 6,
        "model_id": "</script><b>", "ttfts": [0.5, 0.25], "itls": [[0.123456, 0.2], []],
        "errors": ["", "gone"], "output_lens": [3, 0], "generated_texts": ["secret", ""]})";

TEST_F(ReportTest, FindsResultsOfEachKind) {
  Write("b.json", kBench);
  Write("deep/er/a.json", R"({"format": "vallm-eval-results/1", "model": "m", "config": "x",
                              "datasets": [{"name": "ceval", "score": 0.5}]})");
  Write("other.json", R"({"a": 1})");
  Write("list.json", "[1]");
  Write("broken.json", "{");
  Write(".hidden/c.json", kBench);
  Write("d.txt", kBench);
  const Json data = CollectReportData(dir_).value();
  ASSERT_EQ(data["kinds"]["bench"].size(), 1u);
  ASSERT_EQ(data["kinds"]["eval"].size(), 1u);
  EXPECT_EQ(data["kinds"]["eval"][0]["file"], "deep/er/a.json");
  EXPECT_EQ(data["kinds"]["eval"][0]["datasets"][0]["score"], 0.5);
  EXPECT_FALSE(data["kinds"]["eval"][0].contains("config"));
  EXPECT_EQ(data["broken"], Json({"broken.json"}));
  EXPECT_EQ(data["others"], 2);
  const Json& bench = data["kinds"]["bench"][0];
  EXPECT_EQ(bench["requests"]["ttfts"], Json({0.5, 0.25}));
  EXPECT_NEAR(bench["requests"]["latencies"][0], 0.8235, 1e-4);
  EXPECT_EQ(bench["requests"]["failed"], Json({false, true}));
  EXPECT_EQ(bench["itl_quantiles_ms"].size(), 101u);
  EXPECT_EQ(bench["itl_quantiles_ms"][0], 123.5);
  EXPECT_EQ(bench["itl_quantiles_ms"][100], 200.0);
  EXPECT_FALSE(bench.contains("generated_texts"));
}

TEST_F(ReportTest, APageNeedsNothingElseAndNoResultEndsItsScript) {
  Write("b.json", kBench);
  const std::string page = ReportPage(dir_).value();
  EXPECT_THAT(page, HasSubstr("\\u003c/script>\\u003cb>"));
  EXPECT_THAT(page, Not(HasSubstr("</script><b>")));
  EXPECT_THAT(page, HasSubstr("report.kinds.bench ="));
  EXPECT_THAT(page, HasSubstr("report.kinds.eval ="));
  EXPECT_THAT(page, Not(::testing::ContainsRegex("(src|href)=")));
}

TEST_F(ReportTest, SaysWhenThereIsNoFolder) {
  EXPECT_THAT(ReportPage(dir_ + "/none"), StatusIs(absl::StatusCode::kNotFound, "none"));
}

}  // namespace
}  // namespace vallm::tools
