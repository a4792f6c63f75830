#include "tokenizer_service/output/whitespace_filter.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace vallm::tokenizer {
namespace {

// Feeds a text and folds what comes out.
class Filter {
 public:
  explicit Filter(Whitespace whitespace, bool calls_possible = true)
      : filter_(whitespace, calls_possible, &ledger_) {}
  Filter& Reasoning(std::string_view text) {
    filter_.Reasoning(text);
    return *this;
  }
  Filter& Content(std::string_view text) {
    filter_.Content(text);
    return *this;
  }
  Filter& Call() {
    filter_.Call(calls_++, "f");
    return *this;
  }
  Filter& AfterThink() {
    filter_.SetAfterThink();
    return *this;
  }
  // What can be seen before the end.
  std::string content() { return Fold(filter_.events()).content; }
  ParsedOutput Finish() {
    filter_.Flush();
    return Fold(filter_.events());
  }

 private:
  TokenLedger ledger_;
  WhitespaceFilter filter_;
  int calls_ = 0;
};

TEST(WhitespaceFilterClean, ReasoningLosesNewlinesAtBothEnds) {
  EXPECT_EQ(
      Filter(Whitespace::kClean).Reasoning("\n").Reasoning("\na\n").Reasoning("\nb\n").Finish(),
      (ParsedOutput{.reasoning = "a\n\nb"}));
  EXPECT_EQ(Filter(Whitespace::kClean).Reasoning("\n\n").Finish(), ParsedOutput{});
}

TEST(WhitespaceFilterClean, ContentAfterThinkLosesLeadingNewlines) {
  for (const bool calls_possible : {false, true}) {
    EXPECT_EQ(Filter(Whitespace::kClean, calls_possible)
                  .AfterThink()
                  .Content("\n")
                  .Content("\na\n")
                  .Finish(),
              (ParsedOutput{.content = "a\n"}));
    EXPECT_EQ(Filter(Whitespace::kClean, calls_possible).AfterThink().Content("\n\n").Finish(),
              ParsedOutput{});
  }
}

TEST(WhitespaceFilterClean, PlainContentKeepsItsNewlines) {
  for (const bool calls_possible : {false, true}) {
    EXPECT_EQ(Filter(Whitespace::kClean, calls_possible).Content("\n\na\n").Finish().content,
              "\n\na\n");
    EXPECT_EQ(Filter(Whitespace::kClean, calls_possible).Content(" \n").Finish().content, " \n");
  }
}

TEST(WhitespaceFilterClean, ContentBesideCallsLosesNewlinesAtTheEnd) {
  EXPECT_EQ(Filter(Whitespace::kClean).Content("a\n\n").Call().Content("\n").Finish().content, "a");
  EXPECT_EQ(Filter(Whitespace::kClean).Call().Content("\nb\n").Finish().content, "b");
  EXPECT_EQ(Filter(Whitespace::kClean).Content("a\n").Call().Content("\nb\n").Finish().content,
            "a\n\nb");
}

TEST(WhitespaceFilter, WhitespaceAloneBesideCallsIsNoContent) {
  for (const Whitespace whitespace : {Whitespace::kClean, Whitespace::kVerbatim}) {
    EXPECT_EQ(Filter(whitespace).Content(" \n").Call().Content("\n ").Call().Finish().content, "");
  }
}

TEST(WhitespaceFilter, WhitespaceBehindACallIsHeldBackUntilTextFollows) {
  for (const Whitespace whitespace : {Whitespace::kClean, Whitespace::kVerbatim}) {
    EXPECT_EQ(Filter(whitespace).Content("a").Call().Content(" \n ").Finish().content, "a");
    EXPECT_EQ(Filter(whitespace).Content("a").Call().Content(" \n ").Content("b").Finish().content,
              "a \n b");
  }
}

TEST(WhitespaceFilter, WithoutCallsNothingIsHeldBack) {
  EXPECT_EQ(Filter(Whitespace::kClean, /*calls_possible=*/false).Content("\na\n").content(),
            "\na\n");
  EXPECT_EQ(Filter(Whitespace::kClean, /*calls_possible=*/true).Content("a\n").content(), "a");
}

TEST(WhitespaceFilterVerbatim, KeepsEveryByteOfText) {
  EXPECT_EQ(Filter(Whitespace::kVerbatim)
                .Reasoning("\na\n")
                .AfterThink()
                .Content("\n\nb\n")
                .Call()
                .Content("\nc\n")
                .Finish()
                .content,
            "\n\nb\n\nc\n");
  EXPECT_EQ(Filter(Whitespace::kVerbatim).Reasoning("\na\n").Finish().reasoning, "\na\n");
  EXPECT_EQ(Filter(Whitespace::kVerbatim).Content("a\n").content(), "a\n");
}

}  // namespace
}  // namespace vallm::tokenizer
