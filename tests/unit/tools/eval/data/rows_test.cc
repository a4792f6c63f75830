#include "tools/eval/data/rows.h"

#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tools/eval/data/decompress.h"
#include "tools/eval/data/parquet_file.h"
#include "tools/eval/data/split_files.h"

namespace vallm::eval {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using testing::IsOk;
using testing::StatusIs;

const std::string kData = VALLM_TEST_DATA "/eval/";

TEST(CsvTest, ReadsQuotesCommasAndLineBreaks) {
  const auto rows = ParseCsv("\xEF\xBB\xBFid,question,A\r\n1,\"a \"\"b\"\", c\nd\",x\n2,plain,\n");
  ASSERT_THAT(rows, IsOk());
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ((*(*rows)[0])["question"], "a \"b\", c\nd");
  EXPECT_EQ((*(*rows)[1])["A"], "");
}

TEST(CsvTest, RefusesAnOpenQuote) {
  EXPECT_THAT(ParseCsv("a\n\"b"), StatusIs(absl::StatusCode::kInvalidArgument, "line 2"));
}

TEST(JsonLinesTest, NamesTheLine) {
  EXPECT_THAT(ParseJsonLines("{\"a\":1}\n[2]\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, "line 2"));
}

class ParquetTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ParquetTest, GivesTheRowsThatWereWritten) {
  const auto rows = LoadRows(kData + "parquet/" + GetParam() + ".parquet");
  ASSERT_THAT(rows, IsOk());
  const auto expected = LoadRows(kData + "parquet/rows.jsonl");
  ASSERT_THAT(expected, IsOk());
  ASSERT_EQ(rows->size(), expected->size());
  for (size_t i = 0; i < rows->size(); ++i) {
    // Members may come in another order.
    EXPECT_EQ(json::parse((*rows)[i]->dump()), json::parse((*expected)[i]->dump())) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, ParquetTest,
                         ::testing::Values("snappy-v1", "snappy-v2", "gzip-v1", "gzip-v2",
                                           "zstd-v1", "zstd-v2", "none-v1", "none-v2"),
                         [](const auto& param) {
                           std::string name = param.param;
                           name[name.find('-')] = '_';
                           return name;
                         });

TEST(ParquetFileTest, RefusesBrokenFiles) {
  EXPECT_THAT(ParseParquet("PAR1"), StatusIs(absl::StatusCode::kInvalidArgument, "Parquet"));
  auto file = ReadFile(kData + "parquet/snappy-v1.parquet");
  ASSERT_THAT(file, IsOk());
  // Whatever byte is wrong: an error or other values, never a crash.
  for (size_t i = 0; i < file->size(); i += 3) {
    std::string broken = *file;
    broken[i] = static_cast<char>(broken[i] ^ 0x55);
    (void)ParseParquet(broken);
    (void)ParseParquet(broken.substr(0, i) + "PAR1");
  }
}

TEST(DecompressTest, RefusesOtherCodecsAndBrokenData) {
  EXPECT_THAT(Decompress(static_cast<Codec>(4), "x", 1),
              StatusIs(absl::StatusCode::kUnimplemented, "codec 4"));
  EXPECT_THAT(Decompress(Codec::kSnappy, "\x05\x00", 5),
              StatusIs(absl::StatusCode::kInvalidArgument, "Snappy"));
  EXPECT_THAT(Inflate("nothing", 100), StatusIs(absl::StatusCode::kInvalidArgument, "zlib"));
}

TEST(LoadSplitTest, FindsTheUsualLayouts) {
  EXPECT_EQ(LoadSplit(kData + "general_mcq", "cluewsc", {"test"})->size(), 3U);
  EXPECT_EQ(LoadSplit(kData + "ceval", "logic", {"val"})->size(), 1U);
  EXPECT_EQ(LoadSplit(kData + "math_500", "default", {"test"})->size(), 3U);
  EXPECT_EQ(LoadSplit(kData + "gpqa", "gpqa_diamond", {"train"})->size(), 2U);
  EXPECT_EQ(LoadSplit(kData + "parquet/zstd-v1.parquet", "any", {"any"})->size(), 8U);
}

// What is asked for is not made up from other files.
TEST(LoadSplitTest, TakesNoOtherSplitOrSubset) {
  EXPECT_THAT(LoadSplit(kData + "gpqa", "gpqa_diamond", {.name = "test", .unnamed = false}),
              StatusIs(absl::StatusCode::kNotFound, "split 'test'"));
  EXPECT_THAT(LoadSplit(kData + "math_500", "algebra", {"test"}),
              StatusIs(absl::StatusCode::kNotFound, "algebra"));
}

TEST(LoadSplitTest, SaysWhatItLookedFor) {
  EXPECT_THAT(LoadSplit(kData + "gpqa", "law", {"test"}),
              StatusIs(absl::StatusCode::kNotFound, "law_test"));
  EXPECT_THAT(LoadSplit("/nowhere", "law", {"test"}),
              StatusIs(absl::StatusCode::kNotFound, "/nowhere"));
}

}  // namespace
}  // namespace vallm::eval
