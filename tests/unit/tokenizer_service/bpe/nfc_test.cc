#include "tokenizer_service/bpe/nfc.h"

#include <utf8proc.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tokenizer_service/bpe/unicode_table.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

std::string Nfc(const std::string& text) {
  std::string storage;
  return std::string(ToNfc(text, &storage));
}

// utf8proc's own normalisation of the whole text.
std::string ReferenceNfc(const std::string& text) {
  utf8proc_uint8_t* result = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &result,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  EXPECT_GE(length, 0);
  std::string normalized(reinterpret_cast<char*>(result), static_cast<size_t>(length));
  std::free(result);
  return normalized;
}

TEST(Nfc, NormalTextIsReturnedWithoutACopy) {
  const std::string text = "plain, 你好, 각, é \U0001F600";
  std::string storage;
  EXPECT_EQ(ToNfc(text, &storage).data(), text.data());
}

TEST(Nfc, ComposesLettersHangulAndSingletons) {
  EXPECT_EQ(Nfc("cafe\u0301!"), "café!");
  EXPECT_EQ(Nfc("\u1112\u1161\u11ab"), "한");
  EXPECT_EQ(Nfc("\u212b\u2126"), "\u00c5\u03a9");
  EXPECT_EQ(Nfc("\u0958"), "\u0915\u093c");  // excluded from composition
  EXPECT_EQ(Nfc("a\u0301\u0316"), "\u00e1\u0316");
}

TEST(Nfc, EveryCodePointAgreesWithUtf8proc) {
  for (uint32_t codepoint = 1; codepoint <= 0x10FFFF; ++codepoint) {
    if (codepoint >= 0xD800 && codepoint <= 0xDFFF) continue;
    std::string text = "a";
    AppendUtf8(codepoint, &text);
    ASSERT_EQ(Nfc(text), ReferenceNfc(text)) << codepoint;
  }
}

TEST(Nfc, RandomMixesAgreeWithUtf8proc) {
  std::mt19937 random(20261123);
  std::vector<char32_t> active;
  for (char32_t codepoint = 1; codepoint <= 0x10FFFF; ++codepoint) {
    if (codepoint >= 0xD800 && codepoint <= 0xDFFF) continue;
    if (!UnicodeTable::Get().IsNfcInert(codepoint)) active.push_back(codepoint);
  }
  ASSERT_GT(active.size(), 1000u);
  const std::u32string bases = U"ae o\u0915\u1100\uac00\u3042你A\u0627\u0d46\u1025";
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (uint32_t i = 0; i < 1 + random() % 12; ++i) {
      const bool base = random() % 2 == 0;
      AppendUtf8(base ? bases[random() % bases.size()] : active[random() % active.size()], &text);
    }
    ASSERT_EQ(Nfc(text), ReferenceNfc(text)) << "round " << round;
  }
}

TEST(Nfc, LongRunsOfMarksAreLinear) {
  // Quadratic ordering of this many marks takes minutes; the test's time limit is the check.
  std::string text = "a";
  constexpr int kCount = 300000;
  for (int i = 0; i < kCount; ++i) text += "\u0301";
  for (int i = 0; i < kCount; ++i) text += "\u0316";
  const std::string normalized = Nfc(text);
  EXPECT_EQ(normalized.size(), text.size() - 1);
  // The first mark that is not blocked composes with the letter; those of the lower class come
  // first.
  EXPECT_EQ(normalized.substr(0, 4), "\u00e1\u0316");
}

}  // namespace
}  // namespace vallm::tokenizer
