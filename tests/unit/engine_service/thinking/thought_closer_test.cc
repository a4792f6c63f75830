#include "engine_service/thinking/thought_closer.h"

#include <functional>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

constexpr int32_t kOpen = 100;
constexpr int32_t kClose = 101;
constexpr int32_t kSpace = 10;  // also what the closing text begins with
constexpr int32_t kEnd = 102;

using Ids = std::vector<int32_t>;
// What a model would say behind an output.
using Model = std::function<int32_t(const Ids& output)>;

class ThoughtCloserTest : public ::testing::Test {
 protected:
  static std::shared_ptr<const ThoughtTokens> Tokens() {
    ThoughtTokens tokens;
    tokens.open = kOpen;
    tokens.close = kClose;
    tokens.closing_ids = {kSpace, 20, 21, kClose, kSpace};
    tokens.close_index = 3;
    tokens.whitespace_ids = {kSpace, 11};
    return std::make_shared<const ThoughtTokens>(tokens);
  }
  static ThoughtCloser Closer(ThoughtPhase start, std::optional<int32_t> budget,
                              bool stops_at_close = false) {
    return ThoughtCloser(Tokens(), start,
                         {.token_budget = budget, .stops_at_close = stops_at_close});
  }
  // What comes behind `output` until the model says kEnd or there are 40 tokens.
  static Ids Run(ThoughtCloser closer, const Model& model, Ids output = {},
                 std::optional<int32_t> end_position = {}) {
    while (output.size() < 40 && (output.empty() || output.back() != kEnd)) {
      const auto forced = closer.ForcedBehind(output, end_position);
      output.push_back(forced.has_value() ? *forced : model(output));
    }
    return output;
  }
  // Says `script`, then ends.
  static Model Says(Ids script) {
    return [script = std::move(script)](const Ids& output) {
      return output.size() < script.size() ? script[output.size()] : kEnd;
    };
  }
  // Thinks for ever; answers 50 and ends behind a </think>.
  static int32_t Ponder(const Ids& output) {
    if (output.empty()) return kOpen;
    const auto close = std::find(output.begin(), output.end(), kClose);
    if (close == output.end()) return static_cast<int32_t>(60 + output.size() % 7);
    return output.back() == 50 ? kEnd : 50;
  }
};

TEST_F(ThoughtCloserTest, ClosesAThoughtThatReachesItsBudget) {
  EXPECT_THAT(Run(Closer(ThoughtPhase::kMaybeThinking, 3), Ponder),
              ElementsAre(kOpen, 61, 62, 63, kSpace, 20, 21, kClose, kSpace, 50, kEnd));
}

TEST_F(ThoughtCloserTest, CountsFromTheStartWhereThePromptHasOpenedTheThought) {
  EXPECT_THAT(Run(Closer(ThoughtPhase::kThinking, 2), Says({61, 62, 63, 64})),
              ElementsAre(61, 62, kSpace, 20, 21, kClose, kSpace, kEnd));
}

TEST_F(ThoughtCloserTest, ABudgetOfZeroClosesAtOnce) {
  EXPECT_THAT(Run(Closer(ThoughtPhase::kThinking, 0), Says({})),
              ElementsAre(kSpace, 20, 21, kClose, kSpace, kEnd));
  EXPECT_THAT(Run(Closer(ThoughtPhase::kMaybeThinking, 0), Says({kOpen})),
              ElementsAre(kOpen, kSpace, 20, 21, kClose, kSpace, kEnd));
}

TEST_F(ThoughtCloserTest, LeavesAThoughtAloneThatTheModelCloses) {
  // With the last token that the budget allows, and without any.
  const Ids script = {kOpen, 61, 62, kClose, 50, 51, 52, 53};
  Ids all = script;
  all.push_back(kEnd);
  EXPECT_EQ(Run(Closer(ThoughtPhase::kMaybeThinking, 3), Says(script)), all);
  EXPECT_EQ(Run(Closer(ThoughtPhase::kMaybeThinking, 100), Says(script)), all);
}

TEST_F(ThoughtCloserTest, NothingIsForcedWithoutAThought) {
  const Ids answer = {50, 51, kOpen, 52, 53, 54};  // mentions the tag
  Ids all = answer;
  all.push_back(kEnd);
  EXPECT_EQ(Run(Closer(ThoughtPhase::kMaybeThinking, 0), Says(answer)), all);
  EXPECT_EQ(Run(Closer(ThoughtPhase::kAnswer, 0), Says(answer)), all);
  EXPECT_EQ(Run(Closer(ThoughtPhase::kAnswer, 0), Says(answer), {}, 0), all);
}

TEST_F(ThoughtCloserTest, WhitespaceMayComeBeforeAThought) {
  EXPECT_THAT(Run(Closer(ThoughtPhase::kMaybeThinking, 1), Says({11, kSpace, kOpen, 61, 62})),
              ElementsAre(11, kSpace, kOpen, 61, kSpace, 20, 21, kClose, kSpace, kEnd));
}

TEST_F(ThoughtCloserTest, ASecondThoughtIsPartOfTheAnswer) {
  const Ids script = {kOpen, kClose, kOpen, 61, 62, 63};
  Ids all = script;
  all.push_back(kEnd);
  EXPECT_EQ(Run(Closer(ThoughtPhase::kMaybeThinking, 1), Says(script)), all);
}

TEST_F(ThoughtCloserTest, UnderAConstraintNothingIsForcedBehindTheClose) {
  EXPECT_THAT(Run(Closer(ThoughtPhase::kThinking, 1, /*stops_at_close=*/true), Says({61, 62})),
              ElementsAre(61, kSpace, 20, 21, kClose, kEnd));
}

TEST_F(ThoughtCloserTest, AnEndPositionClosesWhateverTheBudget) {
  for (const std::optional<int32_t> budget : {std::optional<int32_t>(), {1000}}) {
    EXPECT_THAT(Run(Closer(ThoughtPhase::kMaybeThinking, budget), Ponder, {}, 3),
                ElementsAre(kOpen, 61, 62, kSpace, 20, 21, kClose, kSpace, 50, kEnd));
  }
  // What comes first holds.
  EXPECT_EQ(Run(Closer(ThoughtPhase::kMaybeThinking, 1), Ponder, {}, 9),
            Run(Closer(ThoughtPhase::kMaybeThinking, 1), Ponder));
}

TEST_F(ThoughtCloserTest, AnEndPositionBeforeTheThoughtClosesItAtOnce) {
  EXPECT_THAT(Run(Closer(ThoughtPhase::kMaybeThinking, {}), Ponder, {}, 0),
              ElementsAre(kOpen, kSpace, 20, 21, kClose, kSpace, 50, kEnd));
}

TEST_F(ThoughtCloserTest, TokensAreTheSameFromAnyCut) {
  for (const bool stops_at_close : {false, true}) {
    for (const std::optional<int32_t> end : {std::optional<int32_t>(), {0}, {4}}) {
      const auto fresh = [&] { return Closer(ThoughtPhase::kMaybeThinking, 6, stops_at_close); };
      const Ids whole = Run(fresh(), Ponder, {}, end);
      for (size_t cut = 0; cut < whole.size(); ++cut) {
        const Ids begun(whole.begin(), whole.begin() + static_cast<int64_t>(cut));
        EXPECT_EQ(Run(fresh(), Ponder, begun, end), whole) << cut;
      }
    }
  }
}

TEST_F(ThoughtCloserTest, AnEndPositionMayAppearWhileItRuns) {
  for (size_t when = 0; when < 6; ++when) {
    ThoughtCloser closer = Closer(ThoughtPhase::kMaybeThinking, {});
    Ids output;
    while (output.size() < when) {
      ASSERT_EQ(closer.ForcedBehind(output, {}), std::nullopt);
      output.push_back(Ponder(output));
    }
    const auto end = static_cast<int32_t>(when);
    EXPECT_EQ(Run(closer, Ponder, output, end),
              Run(Closer(ThoughtPhase::kMaybeThinking, {}), Ponder, {}, end));
  }
}

TEST_F(ThoughtCloserTest, ATailThatLooksLikeTheClosingTextIsNotTakenForIt) {
  // Within the budget the model may begin like the closing text, and be cut there.
  const Ids script = {kOpen, kSpace, 20, 60, 61, 62, kClose, 50};
  Ids all = script;
  all.push_back(kEnd);
  for (size_t cut = 0; cut <= script.size(); ++cut) {
    const Ids begun(script.begin(), script.begin() + static_cast<int64_t>(cut));
    EXPECT_EQ(Run(Closer(ThoughtPhase::kMaybeThinking, 10), Says(script), begun), all);
  }
  // One that ends with its beginning when the budget is reached is closed from its start.
  EXPECT_THAT(Run(Closer(ThoughtPhase::kMaybeThinking, 2), Says({kOpen, kSpace, 20})),
              ElementsAre(kOpen, kSpace, 20, kSpace, 20, 21, kClose, kSpace, kEnd));
}

TEST_F(ThoughtCloserTest, ResumedTokensBeyondTheBudgetAreClosedBehindTheirEnd) {
  EXPECT_THAT(Run(Closer(ThoughtPhase::kThinking, 1), Says({}), {61, 62, 63}),
              ElementsAre(61, 62, 63, kSpace, 20, 21, kClose, kSpace, kEnd));
  // Closed in another way than ours: inside of the text, and behind it.
  EXPECT_THAT(Run(Closer(ThoughtPhase::kThinking, 1), Says({}), {61, kSpace, kClose}),
              ElementsAre(61, kSpace, kClose, kEnd));
  EXPECT_THAT(Run(Closer(ThoughtPhase::kThinking, 1), Says({}), {61, kSpace, 20, 21, kClose, 50}),
              ElementsAre(61, kSpace, 20, 21, kClose, 50, kEnd));
  // Begun, broken off and begun again.
  EXPECT_THAT(Closer(ThoughtPhase::kThinking, 1).ForcedBehind(Ids{61, kSpace, kSpace}, {}),
              Optional(20));
}

TEST_F(ThoughtCloserTest, SaysWhereTheOutputStands) {
  ThoughtCloser closer = Closer(ThoughtPhase::kMaybeThinking, 1);
  Ids output;
  std::vector<ThoughtPhase> phases;
  for (const int32_t id : {kOpen, 61, kSpace, 20, 21, kClose, kSpace}) {
    output.push_back(id);
    closer.ForcedBehind(output, {});
    phases.push_back(closer.phase());
  }
  EXPECT_THAT(std::vector(phases.begin(), phases.end() - 1),
              ::testing::Each(ThoughtPhase::kThinking));
  EXPECT_EQ(phases.back(), ThoughtPhase::kAnswer);
}

// Random walks of a model that says all sorts of tags: what a closer forces never depends on
// whether it followed the output or was made for it, and a thought never outgrows its budget.
TEST_F(ThoughtCloserTest, RandomOutputsAreTheSameFromAnyCut) {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    const auto start = static_cast<ThoughtPhase>(random() % 3);
    const auto budget = static_cast<int32_t>(random() % 8);
    std::optional<int32_t> end;
    if (random() % 2 == 0) end = static_cast<int32_t>(random() % 10);
    Ids script(40);
    for (int32_t& id : script) {
      constexpr int32_t kSome[] = {kOpen, kClose, kSpace, 20, 21, 60, 61};
      id = kSome[random() % std::size(kSome)];
    }
    const Ids whole = Run(Closer(start, budget), Says(script), {}, end);
    const size_t cut = random() % whole.size();
    const Ids begun(whole.begin(), whole.begin() + static_cast<int64_t>(cut));
    ASSERT_EQ(Run(Closer(start, budget), Says(script), begun, end), whole) << round;
    if (start != ThoughtPhase::kThinking) continue;
    const auto close = std::find(whole.begin(), whole.end(), kClose);
    ASSERT_LE(close - whole.begin(), budget + 3) << round;
  }
}

}  // namespace
}  // namespace vallm::engine
