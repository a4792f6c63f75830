#include "tokenizer_service/bpe/vocab.h"

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::tokenizer {
namespace {

using ::testing::Eq;
using ::testing::Optional;

TEST(Vocab, FindsEveryEntryAndNothingElse) {
  std::mt19937 random(11);
  // Two letters and NUL, so that entries of every length have near twins.
  const auto random_bytes = [&random] {
    std::string bytes;
    for (uint32_t i = 0; i < 1 + random() % 24; ++i) bytes += "ab\0"[random() % 3];
    return bytes;
  };
  std::map<std::string, int32_t> expected;
  std::vector<Vocab::Entry> entries;
  for (int32_t id = 0; id < 20000; ++id) {
    const auto [it, is_new] = expected.emplace(random_bytes(), 2 * id);
    if (is_new) entries.push_back({2 * id, it->first});
  }
  const Vocab vocab(entries);
  EXPECT_EQ(vocab.size(), entries.back().id + 1);
  for (const auto& [bytes, id] : expected) {
    ASSERT_THAT(vocab.Find(bytes), Optional(Eq(id)));
    ASSERT_EQ(vocab.Bytes(id), bytes);
    ASSERT_EQ(vocab.Bytes(id + 1), "");
  }
  for (int i = 0; i < 100000; ++i) {
    const std::string bytes = random_bytes();
    const auto it = expected.find(bytes);
    ASSERT_EQ(vocab.Find(bytes), it == expected.end() ? std::nullopt : std::optional(it->second));
  }
}

TEST(Vocab, KeepsLongEntriesApart) {
  const std::string long_a(300, 'a');
  const std::string long_b = std::string(299, 'a') + "b";
  const Vocab vocab({{3, long_a}, {7, long_b}, {1, "a"}});
  EXPECT_THAT(vocab.Find(long_a), Optional(Eq(3)));
  EXPECT_THAT(vocab.Find(long_b), Optional(Eq(7)));
  EXPECT_EQ(vocab.Find(std::string(301, 'a')), std::nullopt);
  EXPECT_EQ(vocab.Find(""), std::nullopt);
}

TEST(Vocab, OfTwoEntriesWithTheSameBytesTheFirstIsFound) {
  const Vocab vocab({{5, "same"}, {2, "same"}});
  EXPECT_THAT(vocab.Find("same"), Optional(Eq(5)));
  EXPECT_EQ(vocab.Bytes(2), "same");
}

}  // namespace
}  // namespace vallm::tokenizer
