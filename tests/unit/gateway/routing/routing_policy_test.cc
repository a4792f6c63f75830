#include "gateway/routing/routing_policy.h"

#include <numeric>

#include "gateway/routing/prefix_record.h"
#include "gmock/gmock.h"

namespace vallm::gateway {
namespace {

using ::testing::ElementsAre;

constexpr int kBlock = 16;

std::vector<int32_t> Tokens(int begin, int count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), begin);
  return tokens;
}

PromptBlocks Prompt(const std::vector<int32_t>& tokens, std::string_view salt = "") {
  return HashPromptBlocks(tokens, salt, kBlock);
}

// `a` and then `b`.
std::vector<int32_t> Joined(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(PromptBlocksTest, OneHashPerFullBlock) {
  EXPECT_EQ(Prompt(Tokens(0, 15)).hashes.size(), 0u);
  EXPECT_EQ(Prompt(Tokens(0, 16)).hashes.size(), 1u);
  EXPECT_EQ(Prompt(Tokens(0, 47)).hashes.size(), 2u);
  EXPECT_EQ(Prompt(Tokens(0, 47)).token_count, 47);
}

TEST(PromptBlocksTest, AHashStandsForEverythingUpToIt) {
  const PromptBlocks a = Prompt(Tokens(0, 64));
  const PromptBlocks b = Prompt(Joined(Tokens(0, 32), Tokens(500, 32)));
  EXPECT_EQ(a.hashes[0], b.hashes[0]);
  EXPECT_EQ(a.hashes[1], b.hashes[1]);
  EXPECT_NE(a.hashes[2], b.hashes[2]);
  // The same block behind another one is another prefix.
  const PromptBlocks c = Prompt(Joined(Tokens(500, 16), Tokens(16, 48)));
  for (int i = 0; i < 4; ++i) EXPECT_NE(a.hashes[i], c.hashes[i]) << i;
}

TEST(PromptBlocksTest, SaltsAndOrderMatter) {
  EXPECT_NE(Prompt(Tokens(0, 16)).hashes, Prompt(Tokens(0, 16), "tenant").hashes);
  std::vector<int32_t> swapped = Tokens(0, 16);
  std::swap(swapped[3], swapped[4]);
  EXPECT_NE(Prompt(Tokens(0, 16)).hashes, Prompt(swapped).hashes);
}

TEST(PrefixRecordTest, MatchesTheLongestBeginning) {
  PrefixRecord record(100);
  record.Add(Prompt(Tokens(0, 64)));
  EXPECT_EQ(record.MatchedTokens(Prompt(Tokens(0, 64))), 64);
  EXPECT_EQ(record.MatchedTokens(Prompt(Tokens(0, 70))), 64);
  EXPECT_EQ(record.MatchedTokens(Prompt(Joined(Tokens(0, 40), Tokens(900, 30)))), 32);
  EXPECT_EQ(record.MatchedTokens(Prompt(Tokens(1, 64))), 0);
  EXPECT_EQ(record.MatchedTokens(Prompt(Tokens(0, 64), "other")), 0);
}

TEST(PrefixRecordTest, ForgetsWhatWasUsedLongestAgoItsEndFirst) {
  PrefixRecord record(6);
  record.Add(Prompt(Tokens(0, 64)));     // 4 blocks
  record.Add(Prompt(Tokens(1000, 64)));  // 4 more
  EXPECT_EQ(record.block_count(), 6);
  EXPECT_EQ(record.MatchedTokens(Prompt(Tokens(1000, 64))), 64);
  EXPECT_EQ(record.MatchedTokens(Prompt(Tokens(0, 64))), 32);
  record.SetCapacity(3);
  EXPECT_EQ(record.MatchedTokens(Prompt(Tokens(1000, 64))), 48);
  record.Clear();
  EXPECT_EQ(record.MatchedTokens(Prompt(Tokens(1000, 64))), 0);
}

std::vector<double> Scores(RoutingPolicy& policy, const std::vector<Candidate>& candidates,
                           const PromptBlocks* prompt = nullptr) {
  std::vector<double> scores;
  for (const CandidateScore& score : policy.Score(candidates, prompt)) {
    scores.push_back(score.score);
  }
  return scores;
}

TEST(RoutingPolicyTest, NamesAreThereAndBack) {
  for (const char* name : {"prefix_aware", "least_load", "round_robin", "power_of_two"}) {
    EXPECT_STREQ(NameOf(RoutingPolicyOf(name)), name);
  }
}

TEST(RoutingPolicyTest, RoundRobinLeavesItToTheTurn) {
  const auto policy = NewRoutingPolicy({.kind = RoutingPolicyKind::kRoundRobin});
  EXPECT_THAT(Scores(*policy, {{0, 3, 4}, {1, 0, 4}}), ElementsAre(0, 0));
}

TEST(RoutingPolicyTest, LeastLoadCountsRequests) {
  const auto policy = NewRoutingPolicy({.kind = RoutingPolicyKind::kLeastLoad});
  EXPECT_THAT(Scores(*policy, {{0, 3, 4}, {1, 1, 2}, {2, 2, 64}}), ElementsAre(-3, -1, -2));
}

TEST(RoutingPolicyTest, PowerOfTwoComparesTwoThatAreDrawn) {
  const auto policy = NewRoutingPolicy({.kind = RoutingPolicyKind::kPowerOfTwo, .seed = 5});
  const std::vector<Candidate> candidates = {{0, 0, 4}, {1, 1, 4}, {2, 2, 4}, {3, 3, 4}};
  std::vector<int> wins(4);
  for (int i = 0; i < 6000; ++i) {
    const std::vector<double> scores = Scores(*policy, candidates);
    ++wins[std::max_element(scores.begin(), scores.end()) - scores.begin()];
  }
  // Of the six pairs, 0 wins three, 1 two, 2 one.
  EXPECT_NEAR(wins[0], 3000, 200);
  EXPECT_NEAR(wins[1], 2000, 200);
  EXPECT_NEAR(wins[2], 1000, 200);
  EXPECT_EQ(wins[3], 0);
  EXPECT_THAT(Scores(*policy, {{7, 2, 4}}), ElementsAre(-2));
}

class PrefixAwareTest : public ::testing::Test {
 protected:
  void Send(int instance, const std::vector<int32_t>& tokens) {
    const PromptBlocks prompt = Prompt(tokens);
    policy_->OnDispatch(instance, &prompt);
  }
  std::vector<CandidateScore> ScoresOf(const std::vector<Candidate>& candidates,
                                       const std::vector<int32_t>& tokens) {
    const PromptBlocks prompt = Prompt(tokens);
    return policy_->Score(candidates, &prompt);
  }

  const std::unique_ptr<RoutingPolicy> policy_ =
      NewRoutingPolicy({.kind = RoutingPolicyKind::kPrefixAware, .load_weight = 2});
};

TEST_F(PrefixAwareTest, WeighsThePrefixAgainstTheLoad) {
  Send(1, Tokens(0, 64));
  // A whole prompt is worth half a batch, half of one a quarter.
  const auto whole = ScoresOf({{0, 0, 8}, {1, 3, 8}}, Tokens(0, 64));
  EXPECT_EQ(whole[1].matched_tokens, 64);
  EXPECT_DOUBLE_EQ(whole[0].score, 0);
  EXPECT_DOUBLE_EQ(whole[1].score, 0.25);
  const auto half = ScoresOf({{0, 0, 8}, {1, 3, 8}}, Joined(Tokens(0, 64), Tokens(900, 64)));
  EXPECT_EQ(half[1].matched_tokens, 64);
  EXPECT_DOUBLE_EQ(half[1].score, -0.25);
}

TEST_F(PrefixAwareTest, NoPrefixIsWorthMoreThanTheBound) {
  Send(1, Tokens(0, 64));
  const auto scores = ScoresOf({{0, 1, 8}, {1, 6, 8}}, Tokens(0, 64));
  EXPECT_LT(scores[1].score, scores[0].score);
}

TEST_F(PrefixAwareTest, WithoutAPromptItIsTheLeastFull) {
  EXPECT_THAT(Scores(*policy_, {{0, 3, 4}, {1, 2, 4}, {2, 4, 8}}), ElementsAre(-0.5, 0, 0));
}

TEST_F(PrefixAwareTest, AnInstanceThatLostItsCacheLosesItsRecord) {
  Send(0, Tokens(0, 64));
  Send(1, Tokens(0, 64));
  EXPECT_EQ(policy_->recorded_blocks(0), 4);
  policy_->OnCacheLost(0);
  EXPECT_EQ(policy_->recorded_blocks(0), 0);
  const auto scores = ScoresOf({{0, 0, 8}, {1, 0, 8}}, Tokens(0, 64));
  EXPECT_EQ(scores[0].matched_tokens, 0);
  EXPECT_EQ(scores[1].matched_tokens, 64);
}

TEST_F(PrefixAwareTest, RecordsNoMoreThanAnInstanceCanHold) {
  policy_->OnCapacity(0, 3);
  Send(0, Tokens(0, 64));
  EXPECT_EQ(policy_->recorded_blocks(0), 3);
  policy_->OnCacheLost(0);
  Send(0, Tokens(0, 64));
  EXPECT_EQ(policy_->recorded_blocks(0), 3);
  policy_->OnCapacity(0, 2);
  EXPECT_EQ(policy_->recorded_blocks(0), 2);
  policy_->OnRemoved(0);
  EXPECT_EQ(policy_->recorded_blocks(0), 0);
}

}  // namespace
}  // namespace vallm::gateway
