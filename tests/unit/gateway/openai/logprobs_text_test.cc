#include "gateway/openai/logprobs_text.h"

#include <limits>
#include <string>

#include "common/valid_utf8.h"
#include "gateway/openai/answer_encoder.h"
#include "gateway/openai/token_texts.h"
#include "gmock/gmock.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;
using Kind = GenerationEvent::Kind;

// 3 and 4 are the two halves of a character of four bytes.
const auto kTexts = std::make_shared<const TokenTexts>(
    std::vector<std::string>{"a", " \"b", "", "\xf0\x9f", "\x98\x80", "\xe4\xbd\xa0"});

TokenLogprobs Position(int32_t id, float logprob, std::vector<std::pair<int32_t, float>> top = {}) {
  return {.token_id = id, .logprob = logprob, .top = std::move(top), .shows = true};
}

TEST(Utf8, TellsWholeCharactersFromPieces) {
  EXPECT_TRUE(IsValidUtf8(""));
  EXPECT_TRUE(IsValidUtf8("a\xc3\xa4\xe4\xbd\xa0\xf0\x9f\x98\x80"));
  for (const char* bytes : {"\xe4\xbd", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                            "\xe0\x80\x80", "\xff", "\xc3"}) {
    EXPECT_FALSE(IsValidUtf8(bytes));
  }
  EXPECT_EQ(ReplaceInvalidUtf8("a\x80\xc3\xa4\xe4"), "a\xEF\xBF\xBD\xc3\xa4\xEF\xBF\xBD");
  EXPECT_EQ(CountCharacters("\xf0\x9f") + CountCharacters("\x98\x80"), 1);
}

TEST(LogprobsText, AChatsListsTokensWithTheirBytes) {
  std::string out;
  AppendChatLogprobs({Position(1, -0.5f, {{1, -0.5f}, {3, -1.25f}}), Position(5, -2)}, *kTexts,
                     &out);
  EXPECT_EQ(Json::parse(out), Json::parse(R"({"content":[
      {"token":" \"b","logprob":-0.5,"bytes":[32,34,98],"top_logprobs":[
        {"token":" \"b","logprob":-0.5,"bytes":[32,34,98]},
        {"token":"\ufffd\ufffd","logprob":-1.25,"bytes":[240,159]}]},
      {"token":"你","logprob":-2,"bytes":[228,189,160],"top_logprobs":[]}],"refusal":null})"));
}

TEST(LogprobsText, DigitsGiveTheSameFloatAgainAndInfinityHasANumber) {
  std::string out;
  const float third = -1.0f / 3;
  AppendChatLogprobs({Position(0, third), Position(9, -std::numeric_limits<float>::infinity())},
                     *kTexts, &out);
  const Json content = Json::parse(out)["content"];
  EXPECT_EQ(content[0]["logprob"].get<float>(), third);
  EXPECT_EQ(content[1]["logprob"], -9999);
  EXPECT_EQ(content[1]["token"], "") << "an id beyond the vocabulary";
}

TEST(LogprobsText, ACompletionsAreListsSideBySide) {
  std::string out;
  int64_t offset = 10;
  TokenLogprobs end = Position(2, -3);
  end.shows = false;
  AppendCompletionLogprobs({Position(1, -0.5f, {{0, -0.25f}}), Position(3, -1, {{3, -1}}),
                            Position(4, -1), Position(0, -1), end},
                           *kTexts, &offset, &out);
  const Json json = Json::parse(out);
  EXPECT_EQ(json["text_offset"], Json::parse("[10,13,14,14,15]"));
  EXPECT_EQ(json["tokens"],
            Json::parse(R"([" \"b","bytes:\\xf0\\x9f","bytes:\\x98\\x80","a",""])"));
  EXPECT_EQ(json["token_logprobs"], Json::parse("[-0.5,-1,-1,-1,-3]"));
  EXPECT_EQ(json["top_logprobs"][0], Json::parse(R"({"a":-0.25," \"b":-0.5})"))
      << "the token itself is there too";
  EXPECT_EQ(json["top_logprobs"][1].size(), 1u);
  EXPECT_EQ(offset, 15);
}

TEST(LogprobsText, APromptsAreNamedByIdAndRanked) {
  std::string out;
  TokenLogprobs second = Position(5, -4, {{0, -0.5f}, {1, -1}});
  second.rank = 9;
  TokenLogprobs third = Position(1, -0.25f, {{1, -0.25f}, {0, -2}});
  third.rank = 1;
  AppendPromptLogprobs(std::vector{second, third}, *kTexts, &out);
  EXPECT_EQ(Json::parse(out), Json::parse(R"([null,
      {"5":{"logprob":-4,"rank":9,"decoded_token":"你"},
       "0":{"logprob":-0.5,"rank":1,"decoded_token":"a"},
       "1":{"logprob":-1,"rank":2,"decoded_token":" \"b"}},
      {"1":{"logprob":-0.25,"rank":1,"decoded_token":" \"b"},
       "0":{"logprob":-2,"rank":2,"decoded_token":"a"}}])"));
}

GenerationEvent Event(Kind kind, std::string text, std::vector<TokenLogprobs> logprobs,
                      int choice = 0) {
  GenerationEvent event;
  event.choice = choice;
  event.kind = kind;
  event.text = std::move(text);
  event.logprobs = std::move(logprobs);
  return event;
}

TEST(LogprobsText, StreamsHaveThemWithTheTextAndWholeAnswersAllOfThem) {
  AnswerHeader header;
  header.token_table = kTexts;
  header.logprobs = true;
  const std::vector<GenerationEvent> events = {
      Event(Kind::kContent, "a", {Position(0, -1)}),
      Event(Kind::kContent, "\xf0\x9f\x98\x80", {Position(3, -2), Position(4, -3)}),
      Event(Kind::kFinish, "stop", {Position(2, -4)})};
  const auto whole = NewChatWholeEncoder(header);
  const auto stream = NewChatStreamEncoder(header);
  Json all = Json::array();
  for (const GenerationEvent& event : events) {
    whole->Add(event);
    std::string out;
    stream->Encode(event, &out);
    const Json chunk = Json::parse(out.substr(6))["choices"][0]["logprobs"]["content"];
    EXPECT_EQ(chunk.size(), event.logprobs.size());
    all.insert(all.end(), chunk.begin(), chunk.end());
  }
  EXPECT_EQ(Json::parse(whole->Body({}))["choices"][0]["logprobs"]["content"], all);
  EXPECT_EQ(all.size(), 4u);
}

TEST(LogprobsText, TheBestOfSeveralAnswersHaveTheLikeliestTokens) {
  AnswerHeader header;
  header.choice_count = 6;
  header.best_of = 3;
  header.n = 2;
  const auto encoder = NewCompletionWholeEncoder(header);
  // Means: -2, -1, -1.5 for the first prompt; -1, -1, -3 for the second.
  const std::vector<std::vector<float>> logprobs = {{-1, -3}, {-1}, {-1, -2}, {-1}, {-1}, {-3}};
  for (int choice = 0; choice < 6; ++choice) {
    std::vector<TokenLogprobs> positions;
    for (const float logprob : logprobs[choice]) positions.push_back(Position(0, logprob));
    encoder->Add(Event(Kind::kContent, std::to_string(choice), positions, choice));
    encoder->Add(Event(Kind::kFinish, "stop", {}, choice));
  }
  const Json choices = Json::parse(encoder->Body({}))["choices"];
  ASSERT_EQ(choices.size(), 4u);
  const char* const kExpected[] = {"1", "2", "3", "4"};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(choices[i]["text"], kExpected[i]);
    EXPECT_EQ(choices[i]["index"], i);
    EXPECT_EQ(choices[i]["logprobs"], nullptr) << "nobody asked for them";
  }
}

}  // namespace
}  // namespace vallm::gateway
