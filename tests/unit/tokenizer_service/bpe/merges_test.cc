#include "tokenizer_service/bpe/merges.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::tokenizer {
namespace {

using ::testing::ElementsAre;

std::array<int32_t, 256> IdentityBytes() {
  std::array<int32_t, 256> ids;
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  return ids;
}

std::vector<int32_t> Apply(const Merges& merges, const std::string& piece) {
  std::vector<int32_t> ids;
  merges.Apply(piece, &ids);
  return ids;
}

// The definition, word for word.
std::vector<int32_t> ReferenceApply(const std::vector<Merges::Merge>& merges,
                                    const std::string& piece) {
  std::map<std::pair<int32_t, int32_t>, size_t> ranks;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    ranks[{merges[rank].left, merges[rank].right}] = rank;
  }
  std::vector<int32_t> ids;
  for (const char c : piece) ids.push_back(static_cast<uint8_t>(c));
  while (true) {
    size_t best_rank = merges.size();
    size_t best = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto it = ranks.find({ids[i], ids[i + 1]});
      if (it == ranks.end() || it->second >= best_rank) continue;
      best_rank = it->second;
      best = i;
    }
    if (best_rank == merges.size()) return ids;
    ids[best] = merges[best_rank].joined;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(Merges, LowestRankFirstThenLeftmost) {
  const Merges merges(IdentityBytes(), {{'b', 'c', 300}, {'a', 'b', 301}, {300, 300, 302}});
  EXPECT_THAT(Apply(merges, "abc"), ElementsAre('a', 300));
  EXPECT_THAT(Apply(merges, "abab"), ElementsAre(301, 301));
  EXPECT_THAT(Apply(merges, "bcbcbc"), ElementsAre(302, 300));
  EXPECT_THAT(Apply(merges, "x"), ElementsAre('x'));
}

TEST(Merges, OfTwoMergesOfAPairTheLaterCounts) {
  const Merges merges(IdentityBytes(), {{'a', 'b', 300}, {'b', 'c', 301}, {'a', 'b', 302}});
  EXPECT_THAT(Apply(merges, "abc"), ElementsAre('a', 301));
  EXPECT_THAT(Apply(merges, "ab"), ElementsAre(302));
}

TEST(Merges, RandomMergesAgreeWithTheDefinitionAtEveryLength) {
  std::mt19937 random(7);
  for (int table = 0; table < 20; ++table) {
    // Merges of three letters and of what earlier merges made, in an order of their own.
    std::vector<Merges::Merge> list;
    std::vector<int32_t> tokens = {'a', 'b', 'c'};
    for (int32_t joined = 256; joined < 300; ++joined) {
      const auto pick = [&] { return tokens[random() % tokens.size()]; };
      list.push_back({pick(), pick(), joined});
      tokens.push_back(joined);
    }
    std::shuffle(list.begin(), list.end(), random);
    const Merges merges(IdentityBytes(), list);
    for (size_t length = 1; length < 200; ++length) {
      std::string piece;
      for (size_t i = 0; i < length; ++i) piece += static_cast<char>('a' + random() % 3);
      ASSERT_EQ(Apply(merges, piece), ReferenceApply(list, piece)) << piece;
    }
  }
}

TEST(Merges, VeryLongPiecesTakeNoQuadraticTime) {
  std::vector<Merges::Merge> list;
  int32_t left = 'a';
  for (int32_t joined = 256; joined < 264; ++joined) {
    list.push_back({left, left, joined});
    left = joined;
  }
  const Merges merges(IdentityBytes(), list);
  const std::vector<int32_t> ids = Apply(merges, std::string(1 << 20, 'a'));
  EXPECT_EQ(ids, std::vector<int32_t>(1 << 12, 263));
}

}  // namespace
}  // namespace vallm::tokenizer
