#include "tokenizer_service/bpe/merge_search.h"

#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tokenizer_service/bpe/merges.h"
#include "tokenizer_service/bpe/vocab.h"

namespace vallm::tokenizer {
namespace {

using ::testing::ElementsAre;

// Merges and the bytes of what they make; ids below 256 are the bytes.
struct Table {
  std::array<int32_t, 256> byte_ids;
  std::vector<Merges::Merge> merges;
  std::vector<std::string> bytes;  // by id

  Table() {
    for (int32_t byte = 0; byte < 256; ++byte) {
      byte_ids[static_cast<size_t>(byte)] = byte;
      bytes.push_back(std::string(1, static_cast<char>(byte)));
    }
  }
  const std::string& BytesOf(int32_t id) const { return bytes[static_cast<size_t>(id)]; }
  void Add(int32_t left, int32_t right) {
    merges.push_back({left, right, static_cast<int32_t>(bytes.size())});
    bytes.push_back(BytesOf(left) + BytesOf(right));
  }
  std::optional<MergeSearch::Plan> Plan() const {
    std::vector<Vocab::Entry> entries;
    for (const std::string& token : bytes) {
      entries.push_back({static_cast<int32_t>(entries.size()), token});
    }
    return MergeSearch::MakePlan(byte_ids, merges, Vocab(entries));
  }
};

// Merges of characters of `alphabet` and of what earlier merges made, each token made once.
Table RandomTable(const std::vector<std::string>& alphabet, int size, std::mt19937* random) {
  Table table;
  std::vector<int32_t> tokens;
  for (const std::string& character : alphabet) {
    for (const char byte : character) tokens.push_back(static_cast<uint8_t>(byte));
  }
  std::set<std::string> made;
  for (int tries = 0; tries < 1000 && static_cast<int>(table.merges.size()) < size; ++tries) {
    const int32_t left = tokens[(*random)() % tokens.size()];
    const int32_t right = tokens[(*random)() % tokens.size()];
    const std::string bytes = table.BytesOf(left) + table.BytesOf(right);
    if (bytes.size() > 12 || !made.insert(bytes).second) continue;
    table.Add(left, right);
    tokens.push_back(static_cast<int32_t>(table.bytes.size()) - 1);
  }
  return table;
}

std::string RandomText(const std::vector<std::string>& alphabet, size_t characters,
                       std::mt19937* random) {
  std::string text;
  for (size_t i = 0; i < characters; ++i) text += alphabet[(*random)() % alphabet.size()];
  return text;
}

template <typename Encoder>
std::vector<int32_t> Apply(const Encoder& encoder, const std::string& piece) {
  std::vector<int32_t> ids;
  encoder.Apply(piece, &ids);
  return ids;
}

void ExpectAgreement(const std::vector<std::string>& alphabet, uint32_t seed) {
  std::mt19937 random(seed);
  for (int i = 0; i < 60; ++i) {
    const Table table = RandomTable(alphabet, 1 + static_cast<int>(random() % 60), &random);
    auto plan = table.Plan();
    ASSERT_TRUE(plan.has_value());
    const MergeSearch search(&*plan);
    const Merges merges(table.byte_ids, table.merges);
    for (size_t length = 1; length <= 40; ++length) {
      const std::string text = RandomText(alphabet, length, &random);
      ASSERT_EQ(Apply(search, text), Apply(merges, text)) << i << " " << text;
    }
    const std::string text = RandomText(alphabet, 2000, &random);
    ASSERT_EQ(Apply(search, text), Apply(merges, text)) << i;
    for (int32_t id = 0; id < static_cast<int32_t>(table.bytes.size()); ++id) {
      EXPECT_EQ(plan->reachable[static_cast<size_t>(id)] != 0,
                Apply(merges, table.BytesOf(id)) == std::vector<int32_t>{id});
    }
  }
}

TEST(MergeSearch, AgreesWithMergingOneLetter) { ExpectAgreement({"a"}, 1); }

TEST(MergeSearch, AgreesWithMergingTwoLetters) { ExpectAgreement({"a", "b"}, 2); }

TEST(MergeSearch, AgreesWithMergingFourLetters) { ExpectAgreement({"a", "b", "c", "d"}, 3); }

TEST(MergeSearch, AgreesWithMergingPartsOfCharacters) {
  ExpectAgreement({"a", "é", "ê", "你", "佡", "😀"}, 4);
}

TEST(MergeSearch, MergesThatMakeATokenTwiceAreNotWellFormed) {
  Table table;
  table.Add('a', 'b');
  table.Add('b', 'c');
  table.Add('a', 257);
  ASSERT_TRUE(table.Plan().has_value());
  table.merges.push_back({256, 'c', 258});
  EXPECT_FALSE(table.Plan().has_value());
}

TEST(MergeSearch, MergesBeforeThoseOfTheirPartsAreNotWellFormed) {
  Table table;
  table.Add('a', 'b');
  table.Add(256, 'c');
  ASSERT_TRUE(table.Plan().has_value());
  std::swap(table.merges[0], table.merges[1]);
  EXPECT_FALSE(table.Plan().has_value());
}

TEST(MergeSearch, BytesThatShareAnIdAreNotWellFormed) {
  Table table;
  table.byte_ids['x'] = 'y';
  EXPECT_FALSE(table.Plan().has_value());
}

TEST(MergeSearch, GivesTheIdsOfTheVocabulary) {
  Table table;
  table.Add('a', 'b');
  table.merges[0].joined = 999;
  table.bytes.resize(999);
  table.bytes.push_back(std::exchange(table.bytes[256], ""));
  auto plan = table.Plan();
  ASSERT_TRUE(plan.has_value());
  const MergeSearch search(&*plan);
  EXPECT_THAT(Apply(search, "abc"), ElementsAre(999, 'c'));
  EXPECT_EQ(plan->reachable.size(), 1000);
  EXPECT_EQ(plan->reachable[999], 1);
  EXPECT_EQ(plan->reachable[256], 0);
}

}  // namespace
}  // namespace vallm::tokenizer
