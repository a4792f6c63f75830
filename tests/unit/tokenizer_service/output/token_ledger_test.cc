#include "tokenizer_service/output/token_ledger.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::tokenizer {

void PrintTo(const TokenRun& run, std::ostream* os) {
  *os << run.count << " of role " << static_cast<int>(run.role);
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using enum TokenRole;

std::vector<TokenRun> Taken(TokenLedger* ledger) {
  std::vector<TokenRun> runs;
  ledger->Take(&runs);
  return runs;
}

TEST(TokenLedger, ATokenComesWithTheFirstOfItsBytesThatIsShown) {
  TokenLedger ledger;
  ledger.Add(0, 3);
  ledger.Add(3, 6);
  EXPECT_THAT(Taken(&ledger), IsEmpty());
  ledger.Show(kReasoning, 1);
  EXPECT_THAT(Taken(&ledger), ElementsAre(TokenRun{kReasoning, 1}));
  ledger.Show(kReasoning, 2);
  EXPECT_THAT(Taken(&ledger), IsEmpty());
  ledger.Hide(2);
  ledger.Show(kContent, 1);
  EXPECT_THAT(Taken(&ledger), ElementsAre(TokenRun{kContent, 1}));
  ledger.Finish();
  EXPECT_THAT(Taken(&ledger), IsEmpty());
}

TEST(TokenLedger, WhatShowsNowhereComesWithTheNextThatDoes) {
  TokenLedger ledger;
  ledger.Add(0, 7);
  ledger.Hide(7);
  EXPECT_THAT(Taken(&ledger), IsEmpty());
  ledger.Add(7, 9);
  ledger.Add(9, 10);
  ledger.Show(kContent, 2);
  EXPECT_THAT(Taken(&ledger), ElementsAre(TokenRun{kHidden, 1}, TokenRun{kContent, 1}));
  ledger.Hide(1);
  ledger.Finish();
  EXPECT_THAT(Taken(&ledger), ElementsAre(TokenRun{kHidden, 1}));
}

TEST(TokenLedger, TokensWithoutTextKeepTheirPlace) {
  TokenLedger ledger;
  ledger.Add(0, 0);
  ledger.Add(0, 4);
  ledger.Add(4, 4);
  ledger.Add(4, 5);
  ledger.Show(kContent, 4);
  EXPECT_THAT(Taken(&ledger), ElementsAre(TokenRun{kSilent, 1}, TokenRun{kContent, 1}));
  ledger.Show(kContent, 1);
  EXPECT_THAT(Taken(&ledger), ElementsAre(TokenRun{kSilent, 1}, TokenRun{kContent, 1}));
}

// The bytes of one character: a token that ends inside it ends behind its first byte.
TEST(TokenLedger, TokensOfOneCharacterComeTogether) {
  TokenLedger ledger;
  ledger.Add(0, 1);
  ledger.Add(0, 1);
  ledger.Add(0, 4);
  ledger.Show(kContent, 4);
  EXPECT_THAT(Taken(&ledger), ElementsAre(TokenRun{kContent, 3}));
}

TEST(TokenLedger, NothingBehindAStopStringIsListed) {
  TokenLedger ledger;
  ledger.Add(0, 4);   // "a ST"
  ledger.Add(4, 4);   // a special token
  ledger.Add(4, 6);   // "OP"
  ledger.Add(6, 6);   // another
  ledger.Add(6, 10);  // what was to follow
  ledger.Show(kContent, 2);
  EXPECT_THAT(Taken(&ledger), ElementsAre(TokenRun{kContent, 1}));
  ledger.Stop(4);
  EXPECT_THAT(Taken(&ledger), ElementsAre(TokenRun{kSilent, 1}, TokenRun{kStop, 1}));
  ledger.Finish();
  EXPECT_THAT(Taken(&ledger), IsEmpty());
}

TEST(TokenLedger, AStopStringThatIsShownIsText) {
  TokenLedger ledger;
  ledger.Add(0, 6);
  ledger.Add(6, 6);
  ledger.Add(6, 8);
  ledger.Show(kContent, 6);
  ledger.Stop(0);
  ledger.Finish();
  EXPECT_THAT(Taken(&ledger), ElementsAre(TokenRun{kContent, 1}));
}

TEST(AppendTokenRuns, JoinsEqualRoles) {
  std::vector<TokenRun> runs = {{kContent, 2}};
  AppendTokenRuns(std::vector<TokenRun>{{kContent, 1}, {kHidden, 1}}, &runs);
  EXPECT_THAT(runs, ElementsAre(TokenRun{kContent, 3}, TokenRun{kHidden, 1}));
}

}  // namespace
}  // namespace vallm::tokenizer
