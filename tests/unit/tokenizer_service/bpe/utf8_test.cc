#include "tokenizer_service/bpe/utf8.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/jsonl.h"

namespace vallm::tokenizer {
namespace {

using ::testing::Eq;
using ::testing::Optional;

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

TEST(Utf8, EveryScalarValueSurvivesARoundTrip) {
  for (uint32_t codepoint = 0; codepoint <= 0x10FFFF; ++codepoint) {
    if (codepoint >= 0xD800 && codepoint <= 0xDFFF) continue;
    std::string bytes;
    AppendUtf8(codepoint, &bytes);
    const Utf8Step step = DecodeUtf8(bytes);
    ASSERT_EQ(step.kind, Utf8Kind::kCharacter) << codepoint;
    ASSERT_EQ(step.length, bytes.size()) << codepoint;
    ASSERT_EQ(static_cast<uint32_t>(step.codepoint), codepoint);
    ASSERT_EQ(FirstInvalidUtf8(bytes), std::nullopt);
    for (size_t length = 1; length < bytes.size(); ++length) {
      const std::string_view prefix = std::string_view(bytes).substr(0, length);
      ASSERT_EQ(DecodeUtf8(prefix).kind, Utf8Kind::kIncomplete) << codepoint;
      ASSERT_EQ(IncompleteUtf8Suffix(prefix), length) << codepoint;
    }
  }
}

TEST(Utf8, RefusesSurrogatesOverlongFormsAndTooLargeValues) {
  for (std::string_view bytes : {"\xED\xA0\x80", "\xC0\x80", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF",
                                 "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\x80", "\xFF"}) {
    EXPECT_EQ(DecodeUtf8(bytes).kind, Utf8Kind::kInvalid);
    EXPECT_EQ(DecodeUtf8(bytes).length, 1u);
    EXPECT_EQ(IncompleteUtf8Suffix(bytes.substr(0, 2)), 0u);
  }
}

TEST(Utf8, FindsTheFirstInvalidByteAtEveryAlignment) {
  for (size_t before = 0; before < 20; ++before) {
    const std::string text = std::string(before, 'a') + "\xFF" + std::string(20, 'b');
    EXPECT_THAT(FirstInvalidUtf8(text), Optional(Eq(before)));
  }
}

TEST(Utf8, AgreesWithTheConformanceRows) {
  for (const auto& row :
       testing::ReadJsonl(VALLM_TEST_DATA "/conformance/tokenizer_invalid_utf8.jsonl")) {
    const std::string bytes = FromHex(row.at("bytes_hex").get<std::string>());
    EXPECT_THAT(FirstInvalidUtf8(bytes), Optional(Eq(row.at("first_invalid_offset").get<size_t>())))
        << row.at("id");
    EXPECT_EQ(ReplaceInvalidUtf8(bytes), row.at("lossy_text").get<std::string>()) << row.at("id");
  }
}

TEST(Utf8, OneReplacementPerMaximalSubpart) {
  EXPECT_EQ(ReplaceInvalidUtf8("\xF0\x9F\x98"), kReplacementCharacter);
  EXPECT_EQ(ReplaceInvalidUtf8("a\xE4\xBD"
                               "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(ReplaceInvalidUtf8("\xE4\xBD\xE4\xBD\xA0"), "\xEF\xBF\xBD\xE4\xBD\xA0");
}

TEST(Utf8, HoldsBackOnlyAnUnfinishedCharacter) {
  EXPECT_EQ(IncompleteUtf8Suffix(""), 0u);
  EXPECT_EQ(IncompleteUtf8Suffix("abc"), 0u);
  EXPECT_EQ(IncompleteUtf8Suffix("a\xE4\xBD"), 2u);
  EXPECT_EQ(IncompleteUtf8Suffix("\xF0\x9F\x98"), 3u);
  EXPECT_EQ(IncompleteUtf8Suffix("\xF0\x9F\x98\x80"), 0u);
  EXPECT_EQ(IncompleteUtf8Suffix("\xF0\x9F\xFF"), 0u);
}

}  // namespace
}  // namespace vallm::tokenizer
