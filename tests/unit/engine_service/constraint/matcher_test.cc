#include "engine_service/constraint/matcher.h"

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/constraint_vocabulary.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;
using Kind = ConstraintSpec::Kind;
using Phase = ConstraintStart::Phase;

constexpr const char* kSchema = R"({
  "type": "object",
  "properties": {
    "name": {"type": "string", "maxLength": 6},
    "tags": {"type": "array", "items": {"enum": ["a", "ab", "é"]}, "maxItems": 3},
    "note": {"type": "string"},
    "n": {"type": "integer", "minimum": -3, "maximum": 130}},
  "required": ["name", "n"], "additionalProperties": false})";

// Words with every kind of border: inside strings, across quotes, half characters, white space.
std::shared_ptr<const ConstraintVocabulary> Words() {
  return MakeVocabulary({"{\"",
                         "\"}",
                         "\":",
                         "\", \"",
                         "name",
                         "na",
                         "me\": \"",
                         "ab",
                         "abcdefghij",
                         "\n  ",
                         "12",
                         "130",
                         "-3",
                         "\xE6\x97",
                         "\xA5",
                         "é",
                         "\xC3",
                         "a\xC3",
                         "tag",
                         "s\": [\"",
                         "\"]",
                         "\\n",
                         "\\u00",
                         "41",
                         "true",
                         "}",
                         "{\"name\": \"x\"",
                         "a very long token of plain text",
                         "日本日本日本日本日本日本日本日本日本",
                         "ab"});
}

class MatcherTest : public ::testing::Test {
 protected:
  std::shared_ptr<CompiledGrammar> Compile(Kind kind, std::string text) {
    auto grammar = CompileConstraint({.kind = kind, .text = std::move(text)}, vocabulary_);
    EXPECT_OK(grammar);
    return *std::move(grammar);
  }

  std::vector<int32_t> Allowed(Matcher* matcher) {
    std::vector<uint64_t> mask(MaskWords(vocabulary_->mask_size()), 0xAAAAAAAAAAAAAAAA);
    EXPECT_OK(matcher->FillMask(mask));
    std::vector<int32_t> allowed;
    for (int32_t id = 0; id < static_cast<int32_t>(mask.size() * 64); ++id) {
      if ((mask[id / 64] >> (id % 64)) & 1) allowed.push_back(id);
    }
    return allowed;
  }

  static bool Has(const std::vector<int32_t>& ids, int32_t id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  }

  static void AcceptText(std::string_view text, Matcher* matcher) {
    for (const char c : text) ASSERT_OK(matcher->Accept(static_cast<uint8_t>(c)));
  }

  std::shared_ptr<const ConstraintVocabulary> vocabulary_ = Words();
};

// Walks at random and compares, in every state, the mask with what Accept says of each token.
TEST_F(MatcherTest, TheMaskIsExactlyWhatAcceptTakes) {
  const std::vector<std::pair<Kind, std::string>> cases = {
      {Kind::kJsonSchema, kSchema},
      {Kind::kJsonObject, ""},
      {Kind::kRegex, "(é|[a-z ]{2,40}|\\d+)*!"},
      {Kind::kGrammar, "root ::= \"{\" root? \"}\" | .{18} | [^a]{3,20} \"é\""}};
  for (const auto& [kind, text] : cases) {
    const auto grammar = Compile(kind, text);
    for (int seed = 0; seed < 6; ++seed) {
      std::mt19937_64 random(seed);
      Matcher matcher(grammar, {});
      for (int step = 0; step < 25; ++step) {
        const std::vector<int32_t> allowed = Allowed(&matcher);
        ASSERT_FALSE(allowed.empty());
        for (int32_t id = -1; id < vocabulary_->mask_size() + 40; ++id) {
          Matcher copy = matcher;
          ASSERT_EQ(copy.Accept(id).ok(), Has(allowed, id))
              << text << " token " << id << " '" << vocabulary_->TextOf(id) << "' step " << step;
        }
        const int32_t token = allowed[random() % allowed.size()];
        ASSERT_OK(matcher.Accept(token));
        if (vocabulary_->IsEos(token)) break;
      }
    }
  }
}

// So many words that tokens are taken by runs (token_runs.h), some longer than the levels that
// these tell apart.
TEST_F(MatcherTest, TheMaskIsExactlyWhatAcceptTakesInALargeVocabulary) {
  std::mt19937_64 random(7);
  std::vector<std::string> words;
  for (int i = 0; i < 4000; ++i) {
    const std::string letters = i % 3 == 0 ? "ab" : "abcdxyz0189_";
    std::string word = random() % 3 == 0 ? " " : "";
    const size_t length = random() % (i % 10 == 0 ? 24 : 7);
    while (word.size() < length) word += letters[random() % letters.size()];
    if (random() % 4 == 0)
      word += std::array{" ", " 1", "-a", ".", "é", "\"", " b c"}[random() % 7];
    if (!word.empty()) words.push_back(word);
  }
  vocabulary_ = MakeVocabulary(words);
  const std::vector<std::string> patterns = {
      "(\\w+ ){3,20}\\d{4}-\\d\\d",    // a loop, and one that counts around it
      "[a-z]{2,9}(-[a-z]{2,9}){0,3}",  // counted bytes that end
      "[a-z0-9 ]{5,100}",              // more of them than there are levels
      "([ab]+|[ab]{3}x)*!",            // a set that the state behind it tells apart
      "(\\w*é)*[^a-m]+",               // longer characters in between
  };
  for (const std::string& pattern : patterns) {
    SCOPED_TRACE(pattern);
    const auto grammar = Compile(Kind::kRegex, pattern);
    for (int walk = 0; walk < 4; ++walk) {
      Matcher matcher(grammar, {});
      for (int step = 0; step < 12; ++step) {
        const std::vector<int32_t> allowed = Allowed(&matcher);
        std::vector<int32_t> taken;
        for (int32_t id = 0; id < vocabulary_->mask_size(); ++id) {
          Matcher copy = matcher;
          if (copy.Accept(id).ok()) taken.push_back(id);
        }
        ASSERT_EQ(allowed, taken) << "step " << step;
        const int32_t token = allowed[random() % allowed.size()];
        ASSERT_OK(matcher.Accept(token));
        if (vocabulary_->IsEos(token)) break;
      }
    }
  }
}

TEST_F(MatcherTest, HowTextIsCutIntoTokensDoesNotMatter) {
  const auto grammar = Compile(Kind::kJsonSchema, kSchema);
  Matcher bytes(grammar, {});
  AcceptText("{\"name\": \"ab", &bytes);
  Matcher words(grammar, {});
  for (const char* word : {"{\"", "na", "me\": \"", "ab"}) {
    int32_t id = kFirstWordId;
    while (vocabulary_->TextOf(id) != word) ++id;
    ASSERT_OK(words.Accept(id));
  }
  EXPECT_EQ(Allowed(&bytes), Allowed(&words));
}

TEST_F(MatcherTest, TokensWithEqualBytesAreAllowedTogether) {
  Matcher matcher(Compile(Kind::kRegex, "ab"), {});
  std::vector<int32_t> whole;
  for (const int32_t id : Allowed(&matcher)) {
    if (vocabulary_->TextOf(id) == "ab") whole.push_back(id);
  }
  EXPECT_EQ(whole.size(), 2u);
}

TEST_F(MatcherTest, EndsExactlyWhenComplete) {
  Matcher matcher(Compile(Kind::kRegex, "ab?"), {});
  EXPECT_FALSE(matcher.IsComplete());
  EXPECT_FALSE(Has(Allowed(&matcher), kEosId));
  AcceptText("a", &matcher);
  EXPECT_TRUE(matcher.IsComplete());
  EXPECT_EQ(Allowed(&matcher), (std::vector<int32_t>{'b', kEosId}));
  AcceptText("b", &matcher);
  EXPECT_EQ(Allowed(&matcher), std::vector<int32_t>{kEosId});
  ASSERT_OK(matcher.Accept(kEosId));
  EXPECT_EQ(Allowed(&matcher), std::vector<int32_t>{kEosId});
  EXPECT_THAT(matcher.Accept('b'), StatusIs(absl::StatusCode::kInvalidArgument, "token 98"));
}

TEST_F(MatcherTest, ARefusedTokenChangesNothing) {
  Matcher matcher(Compile(Kind::kRegex, "ab"), {});
  EXPECT_FALSE(matcher.Accept('b').ok());
  EXPECT_FALSE(matcher.Accept(kEosId).ok());
  EXPECT_FALSE(matcher.Accept(-1).ok());
  AcceptText("ab", &matcher);
  EXPECT_TRUE(matcher.IsComplete());
}

TEST_F(MatcherTest, NeverEndsInsideOfACharacter) {
  Matcher matcher(Compile(Kind::kRegex, ".*"), {});
  EXPECT_TRUE(Has(Allowed(&matcher), kEosId));
  AcceptText("\xE6\x97", &matcher);
  EXPECT_FALSE(Has(Allowed(&matcher), kEosId));
  AcceptText("\xA5", &matcher);
  EXPECT_TRUE(Has(Allowed(&matcher), kEosId));
}

TEST_F(MatcherTest, AddedTokensAreNeverText) {
  Matcher matcher(Compile(Kind::kRegex, "(.|\n)*"), {});
  const std::vector<int32_t> allowed = Allowed(&matcher);
  for (int32_t id = kEosId + 1; id <= kThinkEndId; ++id) EXPECT_FALSE(Has(allowed, id));
  AcceptText("<think>", &matcher);
}

TEST_F(MatcherTest, CopiesGoTheirOwnWays) {
  Matcher one(Compile(Kind::kRegex, "a(b|c)d?"), {});
  AcceptText("a", &one);
  Matcher two = one;
  AcceptText("b", &one);
  AcceptText("cd", &two);
  EXPECT_TRUE(Has(Allowed(&one), 'd'));
  EXPECT_FALSE(Has(Allowed(&two), 'd'));
}

TEST_F(MatcherTest, ConstrainsOnlyBehindTheThought) {
  const auto grammar = Compile(Kind::kRegex, "yes");
  Matcher matcher(grammar, {Phase::kThinking, kThinkId, kThinkEndId});
  EXPECT_FALSE(matcher.IsInAnswer());
  EXPECT_TRUE(Has(Allowed(&matcher), 'q'));
  EXPECT_FALSE(Has(Allowed(&matcher), kEosId));
  AcceptText("hm", &matcher);
  ASSERT_OK(matcher.Accept(kThinkEndId));
  EXPECT_TRUE(matcher.IsInAnswer());
  EXPECT_EQ(Allowed(&matcher), std::vector<int32_t>{'y'});
}

TEST_F(MatcherTest, MayThinkFirstOrAnswerAtOnce) {
  const auto grammar = Compile(Kind::kRegex, "yes");
  const ConstraintStart start = {Phase::kMaybeThinking, kThinkId, kThinkEndId};
  Matcher thinks(grammar, start);
  EXPECT_EQ(Allowed(&thinks), (std::vector<int32_t>{'y', kThinkId}));
  ASSERT_OK(thinks.Accept(kThinkId));
  EXPECT_TRUE(Has(Allowed(&thinks), 'q'));
  Matcher answers(grammar, start);
  AcceptText("y", &answers);
  EXPECT_EQ(Allowed(&answers), std::vector<int32_t>{'e'});
}

// States are forgotten when they take too much; a matcher then finds its own again.
TEST_F(MatcherTest, GoesOnBehindStatesThatWereForgotten) {
  const auto grammar = Compile(Kind::kJsonObject, "");
  Matcher early(grammar, {});
  AcceptText("{\"a\": [[", &early);
  const std::vector<int32_t> before = Allowed(&early);
  // Every depth is a state of its own for each of the matchers' texts.
  std::mt19937_64 random(1);
  size_t most = 0;
  bool shrank = false;
  for (int i = 0; i < 400 && !shrank; ++i) {
    Matcher matcher(grammar, {});
    AcceptText("{\"k\": ", &matcher);
    for (int depth = 0; depth < 200; ++depth) {
      AcceptText(random() % 2 == 0 ? "[" : "{\"a\":", &matcher);
      Allowed(&matcher);
    }
    shrank = grammar->memory_bytes() < most;
    most = std::max(most, grammar->memory_bytes());
  }
  EXPECT_TRUE(shrank);
  EXPECT_LT(most, CompiledGrammar::kMaxMemoryBytes * 2);
  EXPECT_EQ(Allowed(&early), before);
  AcceptText("1]]}", &early);
  EXPECT_TRUE(early.IsComplete());
}

TEST_F(MatcherTest, NestingIsBoundedWithoutDeadEnds) {
  Matcher matcher(Compile(Kind::kJsonObject, ""), {});
  AcceptText("{\"a\":", &matcher);
  int depth = 0;
  while (Has(Allowed(&matcher), '[') && depth < 10000) {
    AcceptText("[", &matcher);
    ++depth;
  }
  EXPECT_GT(depth, 100);
  EXPECT_LT(depth, Automaton::kMaxCallDepth + 1);
  EXPECT_FALSE(Has(Allowed(&matcher), '{'));
  AcceptText("1" + std::string(depth, ']') + "}", &matcher);
  EXPECT_TRUE(matcher.IsComplete());
}

TEST_F(MatcherTest, AmbiguityIsBounded) {
  // Each "a" doubles the ways to go on: two calls to return from, to different places.
  const auto grammar =
      Compile(Kind::kGrammar, "root ::= \"a\" root \"x\" | \"a\" root \"y\" | \"b\"");
  Matcher matcher(grammar, {});
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) status = matcher.Accept('a');
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, "too ambiguous"));
}

TEST_F(MatcherTest, ARegexThatMustCountIsBounded) {
  auto grammar =
      CompileConstraint({.kind = Kind::kRegex, .text = "(a|b)*a(a|b){30000}"}, vocabulary_);
  ASSERT_OK(grammar);
  Matcher matcher(*grammar, {});
  absl::Status status;
  std::vector<uint64_t> mask(MaskWords(vocabulary_->mask_size()));
  for (int i = 0; i < 20000 && status.ok(); ++i) status = matcher.Accept('a');
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, "too ambiguous"));
}

TEST_F(MatcherTest, ToolCallsUseTheTagsTokens) {
  const ConstraintSpec spec = {
      .kind = Kind::kTools,
      .tools = R"([{"type":"function","function":{"name":"f","parameters":{"type":"object",
          "properties":{"x":{"type":"integer"}},"required":["x"]}}},
          {"type":"function","function":{"name":"g"}}])"};
  const auto grammar = CompileConstraint(spec, vocabulary_);
  ASSERT_OK(grammar);
  Matcher matcher(*grammar, {});
  EXPECT_EQ(Allowed(&matcher), std::vector<int32_t>{257});
  ASSERT_OK(matcher.Accept(257));
  AcceptText("\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n", &matcher);
  EXPECT_EQ(Allowed(&matcher), std::vector<int32_t>{258});
  ASSERT_OK(matcher.Accept(258));
  EXPECT_EQ(Allowed(&matcher), (std::vector<int32_t>{'\n', kEosId}));
  AcceptText("\n", &matcher);
  ASSERT_OK(matcher.Accept(257));
  AcceptText("\n{\"name\": \"g\", \"arguments\": {\"any\": []}}\n", &matcher);
  ASSERT_OK(matcher.Accept(258));
  EXPECT_TRUE(matcher.IsComplete());

  ConstraintSpec named = spec;
  named.tool_name = "g";
  named.parallel_tool_calls = false;
  const auto only = CompileConstraint(named, vocabulary_);
  ASSERT_OK(only);
  Matcher single(*only, {});
  ASSERT_OK(single.Accept(257));
  AcceptText("\n{\"name\": \"", &single);
  EXPECT_EQ(Allowed(&single), std::vector<int32_t>{'g'});
  AcceptText("g\", \"arguments\": {}}\n", &single);
  ASSERT_OK(single.Accept(258));
  EXPECT_EQ(Allowed(&single), std::vector<int32_t>{kEosId});

  named.tool_name = "h";
  EXPECT_THAT(CompileConstraint(named, vocabulary_),
              StatusIs(absl::StatusCode::kInvalidArgument, "no tool 'h'"));
}

TEST_F(MatcherTest, CallsMayComeInsteadOfAnAnswer) {
  const std::string tools = R"([{"type":"function","function":{"name":"g"}}])";
  for (const ConstraintSpec& spec :
       {ConstraintSpec{.kind = Kind::kJsonSchema, .text = kSchema, .tools = tools},
        ConstraintSpec{.kind = Kind::kGrammar, .text = "start: \"{\" /[^<]+/", .tools = tools}}) {
    const auto grammar = CompileConstraint(spec, vocabulary_);
    ASSERT_OK(grammar);
    Matcher calling(*grammar, {});
    EXPECT_TRUE(Has(Allowed(&calling), 257));
    EXPECT_TRUE(Has(Allowed(&calling), '{'));
    EXPECT_FALSE(Has(Allowed(&calling), '<'));
    Matcher answering = calling;
    AcceptText("{\"name\": \"a\", \"n\": 7}", &answering);
    EXPECT_TRUE(answering.IsComplete());
    EXPECT_FALSE(Has(Allowed(&answering), 257)) << "a call behind an answer";
    ASSERT_OK(calling.Accept(257));
    AcceptText("\n{\"name\": \"g\", \"arguments\": {}}\n", &calling);
    EXPECT_FALSE(calling.IsComplete());
    ASSERT_OK(calling.Accept(258));
    EXPECT_EQ(Allowed(&calling), (std::vector<int32_t>{'\n', kEosId}));
  }
  const ConstraintSpec unsupported = {
      .kind = Kind::kJsonObject,
      .tools = R"([{"type":"function","function":{"name":"g","parameters":{"not":{}}}}])"};
  EXPECT_THAT(CompileConstraint(unsupported, vocabulary_),
              StatusIs(absl::StatusCode::kUnimplemented, "tool 'g': #: keyword 'not'"));
}

}  // namespace
}  // namespace vallm::engine
