#include "tokenizer_service/bpe/pretokenizer.h"

#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::tokenizer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Pieces(std::string_view text, const SplitRules& rules = {}) {
  std::vector<std::string> pieces;
  PieceScanner scanner(text, rules);
  for (std::string_view piece = scanner.Next(); !piece.empty(); piece = scanner.Next()) {
    pieces.emplace_back(piece);
  }
  return pieces;
}

TEST(PieceScanner, EmptyTextHasNoPieces) { EXPECT_THAT(Pieces(""), IsEmpty()); }

TEST(PieceScanner, WordsTakeOneCharacterBeforeThem) {
  EXPECT_THAT(Pieces("ab cd\tef.gh  ij"), ElementsAre("ab", " cd", "\tef", ".gh", " ", " ij"));
  EXPECT_THAT(Pieces("\nab 1a"), ElementsAre("\n", "ab", " ", "1", "a"));
}

TEST(PieceScanner, DigitsStandAlone) {
  EXPECT_THAT(Pieces("123 45"), ElementsAre("1", "2", "3", " ", "4", "5"));
  EXPECT_THAT(Pieces("½Ⅳ٣"), ElementsAre("½", "Ⅳ", "٣"));
}

TEST(PieceScanner, ContractionsIgnoreCase) {
  EXPECT_THAT(Pieces("it's"), ElementsAre("it", "'s"));
  EXPECT_THAT(Pieces("WE'LL'Ve"), ElementsAre("WE", "'LL", "'Ve"));
  EXPECT_THAT(Pieces("x'ſa"), ElementsAre("x", "'ſ", "a"));
  EXPECT_THAT(Pieces("'lx 'r"), ElementsAre("'lx", " '", "r"));
  EXPECT_THAT(Pieces("'"), ElementsAre("'"));
}

TEST(PieceScanner, PunctuationTakesASpaceBeforeAndLineBreaksBehind) {
  EXPECT_THAT(Pieces("a !?\r\n\nb"), ElementsAre("a", " !?\r\n\n", "b"));
  EXPECT_THAT(Pieces("  --\n x"), ElementsAre(" ", " --\n", " x"));
  EXPECT_THAT(Pieces("\t!"), ElementsAre("\t", "!"));
}

TEST(PieceScanner, WhiteSpaceEndsAtTheLastLineBreakOrBeforeItsLastCharacter) {
  EXPECT_THAT(Pieces("a \n \n  b"), ElementsAre("a", " \n \n", " ", " b"));
  EXPECT_THAT(Pieces("a   "), ElementsAre("a", "   "));
  EXPECT_THAT(Pieces("a   1"), ElementsAre("a", "  ", " ", "1"));
  EXPECT_THAT(Pieces("\u3000\u3000x"), ElementsAre("\u3000", "\u3000x"));
}

TEST(PieceScanner, MarksAreNotLetters) {
  EXPECT_THAT(Pieces("e\u0327\u0327x"), ElementsAre("e", "\u0327\u0327", "x"));
}

TEST(PieceScanner, LongWordsAreCutWhereTheyEnd) {
  const std::string word(100, 'a');
  EXPECT_THAT(Pieces(" " + word + "9" + word + "é " + word + "Z"),
              ElementsAre(" " + word, "9", word + "é", " " + word + "Z"));
}

TEST(PieceScanner, UpToThreeDigitsStandTogetherByRule) {
  EXPECT_THAT(Pieces("1234567 ½Ⅳ٣٤", {.max_digits = 3}),
              ElementsAre("123", "456", "7", " ", "½Ⅳ٣", "٤"));
}

TEST(PieceScanner, MarksBelongToWordsByRule) {
  const SplitRules rules = {.marks_in_words = true};
  EXPECT_THAT(Pieces("e\u0327\u0327x", rules), ElementsAre("e\u0327\u0327x"));
  EXPECT_THAT(Pieces("!\u0327 \u0327!?", rules), ElementsAre("!\u0327", " \u0327", "!?"));
}

}  // namespace
}  // namespace vallm::tokenizer
