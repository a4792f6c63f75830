#include "tools/eval/ifeval/instructions.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tools/eval/text/language_guess.h"
#include "tools/eval/text/sentences.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;
using testing::StatusIs;

struct Case {
  const char* name;
  const char* parameters;
  const char* good;
  const char* bad;
};

const std::vector<Case>& Cases() {
  static const auto& cases = *new std::vector<Case>{
      {"keywords:existence", R"({"keywords":["Cat","dog"]})", "A cat and a DOG.", "A cat."},
      {"keywords:frequency", R"({"keyword":"cat","frequency":2,"relation":"at least"})", "cat Cat",
       "cat"},
      {"keywords:forbidden_words", R"({"forbidden_words":["cat"]})", "category", "A Cat!"},
      {"keywords:letter_frequency",
       R"({"letter":"q","let_frequency":2,"let_relation":"less than"})", "Quiet", "Quite q"},
      {"language:response_language", R"({"language":"de"})",
       "Das ist ein Satz und er ist nicht sehr lang.", "This is a sentence and it is not long."},
      {"length_constraints:number_sentences", R"({"num_sentences":2,"relation":"at least"})",
       "One here. Two there.", "Only one by Dr. Smith."},
      {"length_constraints:number_paragraphs", R"({"num_paragraphs":2})", "a\n***\nb", "a\n\nb"},
      {"length_constraints:number_words", R"({"num_words":3,"relation":"less than"})", "one two",
       "one two three"},
      {"length_constraints:nth_paragraph_first_word",
       R"({"num_paragraphs":2,"nth_paragraph":2,"first_word":"Then"})", "First.\n\n'Then, it was.",
       "Then.\n\nFirst."},
      {"detectable_content:number_placeholders", R"({"num_placeholders":2})", "[name] at [place]",
       "[name]"},
      {"detectable_content:postscript", R"({"postscript_marker":"P.S."})", "Bye.\nP. S. More.",
       "Bye. PS more"},
      {"detectable_format:number_bullet_lists", R"({"num_bullets":2})", "* a\n- b", "* a\n** b"},
      {"detectable_format:constrained_response", "{}", "Well: My answer is maybe.", "Maybe."},
      {"detectable_format:number_highlighted_sections", R"({"num_highlights":2})", "*a* and **b**",
       "*a* and **"},
      {"detectable_format:multiple_sections", R"({"section_spliter":"Section","num_sections":2})",
       "Section 1\na\nSection 2\nb", "Section one\nSection 2"},
      {"detectable_format:json_format", "{}", "```json\n{\"a\": [1]}\n```", "{a: 1}"},
      {"detectable_format:title", "{}", "<<A title>>\ntext", "<< >> text"},
      {"combination:two_responses", "{}", "one\n******\ntwo", "one\n******\none"},
      {"combination:repeat_prompt", R"({"prompt_to_repeat":"Say it."})", "say it. It.", "It."},
      {"startend:end_checker", R"({"end_phrase":"The end."})", "So. THE END.\"", "The end. No."},
      {"change_case:capital_word_frequency",
       R"({"capital_frequency":2,"capital_relation":"at least"})", "This IS BIG", "This IS big"},
      {"change_case:english_capital", "{}", "THIS IS ALL IN CAPITALS AND IN ENGLISH.",
       "THIS IS Not."},
      {"change_case:english_lowercase", "{}", "this is all in small letters and in english.",
       "This is not."},
      {"punctuation:no_comma", "{}", "None here", "One, here"},
      {"startend:quotation", "{}", " \"quoted\" ", "\"half"},
  };
  return cases;
}

TEST(InstructionsTest, EveryInstructionTellsRightFromWrong) {
  std::set<std::string> seen;
  for (const Case& c : Cases()) {
    const ordered_json parameters = ordered_json::parse(c.parameters);
    EXPECT_OK(CheckInstruction(c.name, parameters));
    EXPECT_TRUE(Follows(c.name, parameters, c.good)) << c.name;
    EXPECT_FALSE(Follows(c.name, parameters, c.bad)) << c.name;
    EXPECT_FALSE(Follows(c.name, parameters, " \n")) << c.name;
    seen.insert(c.name);
  }
  EXPECT_EQ(seen.size(), 25U);
  EXPECT_THAT(InstructionNames(), ::testing::UnorderedElementsAreArray(seen));
}

TEST(InstructionsTest, RefusesUnknownNamesAndMissingParameters) {
  EXPECT_THAT(CheckInstruction("keywords:none", ordered_json::object()),
              StatusIs(absl::StatusCode::kInvalidArgument, "keywords:none"));
  EXPECT_THAT(
      CheckInstruction("length_constraints:number_words", {{"num_words", 3}, {"relation", "over"}}),
      StatusIs(absl::StatusCode::kInvalidArgument, "relation"));
  EXPECT_THAT(CheckInstruction("keywords:existence", {{"keywords", nullptr}}),
              StatusIs(absl::StatusCode::kInvalidArgument, "keywords"));
}

TEST(InstructionsTest, LooseVariantsDropLinesAndAsterisks) {
  EXPECT_THAT(LooseVariants("Sure:\n*a*\nBye"),
              ::testing::ElementsAre("Sure:\n*a*\nBye", "*a*\nBye", "Sure:\n*a*", "*a*",
                                     "Sure:\na\nBye", "a\nBye", "Sure:\na", "a"));
  EXPECT_THAT(LooseVariants("one")[3], "");
}

TEST(SentencesTest, KeepsAbbreviationsTogether) {
  EXPECT_THAT(
      Sentences("Dr. Smith went to the U.S. in May. He liked it! Did she? \"Yes.\" She did"),
      ::testing::ElementsAre("Dr. Smith went to the U.S. in May.", "He liked it!", "Did she?",
                             "\"Yes.\"", "She did"));
  EXPECT_EQ(Sentences("It costs 3.50 dollars, says Mrs. Doe.").size(), 1U);
  EXPECT_TRUE(Sentences("  ").empty());
}

TEST(TreebankWordsTest, SplitsPunctuationAndContractions) {
  EXPECT_THAT(
      TreebankWords("I can't say \"no\", really."),
      ::testing::ElementsAre("I", "ca", "n't", "say", "``", "no", "''", ",", "really", "."));
}

TEST(LanguageGuessTest, TellsLanguagesApart) {
  EXPECT_EQ(GuessLanguage("今天天气很好，我们去公园吧。"), "zh-cn");
  EXPECT_EQ(GuessLanguage("これは日本語の文章です。"), "ja");
  EXPECT_EQ(GuessLanguage("한국어 문장입니다."), "ko");
  EXPECT_EQ(GuessLanguage("Это предложение на русском языке, и оно не очень длинное."), "ru");
  EXPECT_EQ(GuessLanguage("यह हिंदी में एक वाक्य है और यह लंबा नहीं है।"), "hi");
  EXPECT_EQ(GuessLanguage("हे मराठी वाक्य आहे आणि ते लांब नाही."), "mr");
  EXPECT_EQ(GuessLanguage("Le chat est sur la table et il ne veut pas descendre."), "fr");
  EXPECT_EQ(GuessLanguage("این یک جمله به زبان فارسی است که کوتاه است."), "fa");
  EXPECT_EQ(GuessLanguage("123 !?"), "");
}

}  // namespace
}  // namespace vallm::eval
