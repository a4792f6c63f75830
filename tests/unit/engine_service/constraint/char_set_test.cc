#include "engine_service/constraint/char_set.h"

#include <algorithm>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::engine {
namespace {

bool Takes(const std::vector<std::vector<ByteRange>>& sequences, const std::string& bytes) {
  return std::any_of(sequences.begin(), sequences.end(), [&](const auto& sequence) {
    return sequence.size() == bytes.size() &&
           std::equal(sequence.begin(), sequence.end(), bytes.begin(), [](ByteRange r, char c) {
             return r.first <= static_cast<uint8_t>(c) && static_cast<uint8_t>(c) <= r.last;
           });
  });
}

// Every scalar value against sets whose borders lie anywhere.
TEST(CharSetTest, Utf8SequencesSpellExactlyTheCharacters) {
  std::mt19937 random(7);
  for (int round = 0; round < 8; ++round) {
    CharSet set;
    for (int i = 0; i < 3; ++i) {
      const char32_t limit = i == 0 ? 0x100 : i == 1 ? 0x11000 : 0x110000;
      const char32_t first = random() % limit;
      set.Add(first, std::min<char32_t>(first + random() % 5000, 0x10FFFF));
    }
    const auto sequences = Utf8Sequences(set);
    for (char32_t c = 0; c <= 0x10FFFF; c += 1 + (c > 0x3000 ? random() % 50 : 0)) {
      if (c >= 0xD800 && c <= 0xDFFF) continue;
      std::string bytes;
      tokenizer::AppendUtf8(c, &bytes);
      ASSERT_EQ(Takes(sequences, bytes), set.Contains(c)) << std::hex << static_cast<uint32_t>(c);
    }
  }
}

TEST(CharSetTest, ComplementLeavesSurrogatesOut) {
  const CharSet all = CharSet().Complement();
  EXPECT_EQ(all, CharSet::All());
  EXPECT_FALSE(all.Contains(0xD800));
  EXPECT_TRUE(all.Complement().empty());
  EXPECT_EQ(CharSet::One('x').Complement().Complement(), CharSet::One('x'));
}

TEST(CharSetTest, RangesThatTouchAreJoined) {
  CharSet set = CharSet::Of('a', 'c');
  set.Add('g', 'h');
  set.Add('d', 'f');
  EXPECT_EQ(set, CharSet::Of('a', 'h'));
}

}  // namespace
}  // namespace vallm::engine
