#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"
#include "tools/bench/sweep_folder.h"
#include "tools/bench/sweep_matrix.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> Fitting(const SweepMatrix& matrix) {
  std::vector<std::string> names;
  for (const SweepCell& cell : SweepCells(matrix)) {
    if (cell.too_large.empty()) names.push_back(cell.Name());
  }
  return names;
}

// benchmark.sh of the vendor: 7 inputs at concurrency 4, 8 at 2, 10 at 1, for both output lengths.
TEST(SweepMatrixTest, UnderTheVendorsLimitsItIsTheVendors) {
  SweepMatrix matrix;
  matrix.max_seqlen = 65536;
  std::map<std::pair<int64_t, int64_t>, int> inputs;
  for (const SweepCell& cell : SweepCells(matrix)) {
    if (cell.too_large.empty()) ++inputs[{cell.output_len, cell.concurrency}];
  }
  for (const int64_t output : {1024, 8192}) {
    EXPECT_EQ((inputs[{output, 4}]), 7);
    EXPECT_EQ((inputs[{output, 2}]), 8);
    EXPECT_EQ((inputs[{output, 1}]), 10);
  }
  const std::vector<std::string> names = Fitting(matrix);
  EXPECT_EQ(names.size(), 50u);
  EXPECT_EQ(names.front(), "c4_i128o1024");
  EXPECT_EQ(names.back(), "c1_i54272o8192");
  matrix.service_num = 2;  // eight at a time share as four do
  EXPECT_EQ(Fitting(matrix).size(), 64u);
}

TEST(SweepMatrixTest, LeavesOutWhatARequestMayNotHave) {
  SweepMatrix matrix;
  matrix.concurrencies = {8, 3};
  matrix.input_lens = {100, 900, 1000};
  matrix.output_lens = {100};
  matrix.max_model_len = 1000;
  EXPECT_THAT(Fitting(matrix),
              ElementsAre("c8_i100o100", "c8_i900o100", "c3_i100o100", "c3_i900o100"));
  matrix.max_input_len = 500;
  EXPECT_THAT(Fitting(matrix), ElementsAre("c8_i100o100", "c3_i100o100"));
  EXPECT_THAT(SweepCells(matrix)[2].too_large, HasSubstr("1000 > 500"));
}

class SweepFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = ::testing::TempDir() + "sweep_XXXXXX";
    dir_ = std::string(mkdtemp(path.data())) + "/new";
    ASSERT_OK(Folder({}).Open());
  }
  void TearDown() override {
    std::filesystem::remove_all(std::filesystem::path(dir_).parent_path());
  }

  SweepFolder Folder(const SweepWorkload& workload) const { return {dir_, workload}; }
  static SweepCell Cell(int64_t concurrency) {
    SweepCell cell;
    cell.concurrency = concurrency;
    cell.input_len = 128;
    cell.output_len = 64;
    return cell;
  }
  static Json Result(int failed) {
    return {{"duration", 2.0},          {"completed", 5},       {"failed", failed},
            {"total_output_tokens", 9}, {"model_id", "<m>"},    {"max_concurrency", 4},
            {"output_throughput", 4.5}, {"ttfts", {0.5, 0.25}}, {"itls", {{0.1}, {0.2}}}};
  }
  std::string Read(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(dir_ + "/" + name).rdbuf();
    return text.str();
  }

  std::string dir_;
};

TEST_F(SweepFolderTest, GoesOnWhereItStopped) {
  const SweepFolder folder = Folder({});
  EXPECT_FALSE(folder.HasResult(Cell(4)));
  ASSERT_OK(folder.SaveResult(Cell(4), Result(0)));
  EXPECT_TRUE(folder.HasResult(Cell(4)));
  EXPECT_FALSE(folder.HasResult(Cell(2)));
  EXPECT_TRUE(Folder({}).HasResult(Cell(4)));  // another process
}

TEST_F(SweepFolderTest, MeasuresAgainWhatFailedOrWasCutShortOrIsOfAnotherWorkload) {
  const SweepFolder folder = Folder({});
  ASSERT_OK(folder.SaveResult(Cell(4), Result(1)));
  EXPECT_FALSE(folder.HasResult(Cell(4)));
  ASSERT_OK(folder.SaveResult(Cell(4), Result(0)));
  for (const SweepWorkload& other :
       {SweepWorkload{.backend = "openai-chat"}, SweepWorkload{.request = "{\"model\":\"m\"}"},
        SweepWorkload{.prompts_per_concurrency = 3}, SweepWorkload{.seed = 1}}) {
    EXPECT_FALSE(Folder(other).HasResult(Cell(4)));
  }
  std::ofstream(folder.ResultPath(Cell(4)), std::ios::app) << "x";
  EXPECT_FALSE(folder.HasResult(Cell(4)));
}

TEST_F(SweepFolderTest, SumsUpWhatIsThere) {
  const SweepFolder folder = Folder({});
  ASSERT_OK(folder.SaveResult(Cell(4), Result(0)));
  SweepCell large = Cell(8);
  large.too_large = "no room";
  ASSERT_OK(folder.WriteSummary({large, Cell(4), Cell(2), Cell(1)}, {{"c2_i128o64", "refused"}}));
  const Json cells = Json::parse(Read("sweep.json"))["cells"];
  EXPECT_EQ(cells[0]["skipped"], "no room");
  EXPECT_EQ(cells[1]["result"]["output_throughput"], 4.5);
  EXPECT_FALSE(cells[1]["result"].contains("ttfts"));
  EXPECT_EQ(cells[2]["failed"], "refused");
  EXPECT_FALSE(cells[3].contains("result"));
  const std::string csv = Read("benchmark.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 2);
  EXPECT_THAT(csv, HasSubstr("\n4,2.00,5,"));
  EXPECT_THAT(Read("report.html"), HasSubstr("c4_i128o64.json"));
  ASSERT_OK(folder.WriteSummary({Cell(4)}, {}));  // a second time: nothing is added twice
  EXPECT_EQ(Read("benchmark.csv"), csv);
}

}  // namespace
}  // namespace vallm::tools
