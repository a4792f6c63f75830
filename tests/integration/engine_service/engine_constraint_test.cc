// Constraints over real workers: what comes out satisfies them always, and the same tokens come out
// alone, together, over two workers and when resumed.
#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/engine_service/demo_engine.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;
using Kind = ConstraintSpec::Kind;
using Phase = ConstraintStart::Phase;
using Json = nlohmann::json;

constexpr int32_t kEos = 6272;
constexpr char kSchema[] = R"({"type": "object", "properties": {
    "word": {"type": "string", "maxLength": 6}, "n": {"type": "integer", "minimum": -9, "maximum": 250},
    "list": {"type": "array", "items": {"enum": ["a", "bb", "日本"]}, "minItems": 1, "maxItems": 3}},
  "required": ["word", "n", "list"], "additionalProperties": false})";
constexpr char kTools[] = R"([{"type": "function", "function": {"name": "get_weather", "parameters":
    {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"],
     "additionalProperties": false}}}])";

class EngineConstraintTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const int32_t size : {1, 2}) engines_[size] = ServingEngine(DemoOptions(size));
    tokenizer_ = tokenizer::Tokenizer::FromModelDir(kDemoModel).value();
  }
  static void TearDownTestSuite() {
    engines_.clear();
    tokenizer_.reset();
  }

  // So hot that without a constraint anything would come.
  static GenerationRequest Wild(int64_t seed, ConstraintSpec spec, Phase start = Phase::kAnswer) {
    GenerationRequest request;
    request.prompt_ids = tokenizer_->Encode("<|im_start|>user\nSay something<|im_end|>\n").value();
    request.sampling = {.temperature = 2.0f, .top_p = 1.0f, .top_k = 0, .seed = seed};
    request.max_tokens = 400;
    request.constraint = RequestConstraint{.spec = std::move(spec), .start = start};
    return request;
  }
  static Generation Run(int32_t workers, const GenerationRequest& request) {
    auto answer = engines_.at(workers)->Generate(request);
    EXPECT_OK(answer);
    EXPECT_OK(answer->completion.status);
    return *std::move(answer);
  }
  // The text in front of the end-of-sequence token, which must be there.
  static std::string TextOf(const Generation& answer) {
    std::vector<int32_t> ids = answer.tokens.token_ids;
    EXPECT_EQ(answer.completion.reason, FinishReason::kStop);
    EXPECT_FALSE(ids.empty());
    std::string text;
    for (size_t i = 0; i + 1 < ids.size(); ++i) text += tokenizer_->TokenBytes(ids[i]);
    return text;
  }

  static inline std::map<int32_t, std::unique_ptr<Engine>> engines_;
  static inline std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
};

TEST_F(EngineConstraintTest, EveryAnswerSatisfiesTheSchema) {
  std::vector<GenerationRequest> requests;
  for (int seed = 0; seed < 8; ++seed) {
    requests.push_back(Wild(seed, {.kind = Kind::kJsonSchema, .text = kSchema}));
  }
  const auto together = engines_.at(1)->GenerateAll(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSERT_OK(together[i]);
    const std::string text = TextOf(*together[i]);
    const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(json.is_object()) << text;
    EXPECT_EQ(json.size(), 3u) << text;
    EXPECT_LE(json["word"].get<std::string>().size(), 24u) << text;
    EXPECT_GE(json["n"].get<int>(), -9) << text;
    EXPECT_LE(json["n"].get<int>(), 250) << text;
    EXPECT_GE(json["list"].size(), 1u) << text;
    EXPECT_LE(json["list"].size(), 3u) << text;
    EXPECT_EQ(together[i]->tokens.token_ids.back(), kEos);
  }
}

TEST_F(EngineConstraintTest, TokensAreTheSameAloneTogetherOverTwoWorkersAndResumed) {
  std::vector<GenerationRequest> requests;
  for (int seed = 20; seed < 24; ++seed) {
    requests.push_back(Wild(seed, {.kind = Kind::kJsonSchema, .text = kSchema}));
  }
  const auto together = engines_.at(1)->GenerateAll(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSERT_OK(together[i]);
    const std::vector<int32_t> ids = together[i]->tokens.token_ids;
    EXPECT_EQ(Run(1, requests[i]).tokens.token_ids, ids);
    EXPECT_EQ(Run(2, requests[i]).tokens.token_ids, ids);
    for (const size_t cut : {size_t{1}, ids.size() / 2, ids.size() - 1}) {
      GenerationRequest rest = requests[i];
      rest.resumed_ids.assign(ids.begin(), ids.begin() + static_cast<int64_t>(cut));
      EXPECT_EQ(Run(1, rest).tokens.token_ids,
                std::vector<int32_t>(ids.begin() + static_cast<int64_t>(cut), ids.end()));
    }
  }
}

TEST_F(EngineConstraintTest, EveryKindHolds) {
  for (int seed = 0; seed < 3; ++seed) {
    const std::string regex =
        TextOf(Run(1, Wild(seed, {.kind = Kind::kRegex, .text = "[a-c]{2,5}-\\d{3}"})));
    EXPECT_THAT(regex, ::testing::MatchesRegex("[a-c]+-[0-9][0-9][0-9]"));
    const std::string choice =
        TextOf(Run(1, Wild(seed, {.kind = Kind::kChoice, .choices = {"yes", "no", "maybe so"}})));
    EXPECT_THAT(choice, ::testing::AnyOf("yes", "no", "maybe so"));
    const std::string sum = TextOf(
        Run(1, Wild(seed, {.kind = Kind::kGrammar, .text = "root ::= [0-9] (\"+\" [0-9]){1,4}"})));
    EXPECT_THAT(sum, ::testing::MatchesRegex("[0-9](\\+[0-9])+"));
    const std::string call = TextOf(
        Run(1, Wild(seed, {.kind = Kind::kTools, .tools = kTools, .parallel_tool_calls = false})));
    EXPECT_THAT(call, ::testing::StartsWith("<tool_call>\n{\"name\": \"get_weather\", \"arg"));
    EXPECT_THAT(call, ::testing::EndsWith("}\n</tool_call>"));
  }
}

TEST_F(EngineConstraintTest, AModelMayCallAToolInsteadOfAnswering) {
  const ConstraintSpec spec = {.kind = Kind::kRegex,
                               .text = "[a-c]{2,5}-\\d{3}",
                               .tools = kTools,
                               .parallel_tool_calls = false};
  GenerationRequest request = Wild(1, spec);
  const int32_t open = tokenizer_->TokenId("<tool_call>").value();
  request.sampling.logit_bias = {{open, 50.0f}};
  EXPECT_THAT(TextOf(Run(1, request)), ::testing::StartsWith("<tool_call>\n{\"name\": \"get_we"));
  request.sampling.logit_bias = {{open, -50.0f}};
  EXPECT_THAT(TextOf(Run(1, request)), ::testing::MatchesRegex("[a-c]+-[0-9][0-9][0-9]"));
}

TEST_F(EngineConstraintTest, AThoughtIsFreeAndTheAnswerIsNot) {
  const int32_t open = tokenizer_->TokenId("<think>").value();
  const int32_t close = tokenizer_->TokenId("</think>").value();
  const ConstraintSpec spec = {.kind = Kind::kChoice, .choices = {"yes", "no"}};
  // Biased to open a thought and to end it soon.
  GenerationRequest request = Wild(3, spec, Phase::kMaybeThinking);
  request.sampling.logit_bias = {{open, 30.0f}};
  request.max_tokens = 12;
  const Generation thought = Run(1, request);
  EXPECT_EQ(thought.tokens.token_ids.front(), open);
  request = Wild(4, spec, Phase::kThinking);
  request.sampling.logit_bias = {{close, 8.0f}};
  const std::string text = TextOf(Run(1, request));
  const size_t end = text.find("</think>");
  ASSERT_NE(end, std::string::npos) << text;
  EXPECT_THAT(text.substr(end + 8), ::testing::AnyOf("yes", "no"));
}

TEST_F(EngineConstraintTest, SaysWhatItCannotDo) {
  Engine& engine = *engines_.at(1);
  EXPECT_THAT(engine.Generate(Wild(1, {.kind = Kind::kJsonSchema, .text = R"({"not": {}})"})),
              StatusIs(absl::StatusCode::kInvalidArgument, "constraint: #: keyword 'not'"));
  GenerationRequest request = Wild(1, {.kind = Kind::kRegex, .text = "a+"});
  request.resumed_ids = {tokenizer_->TokenId("b").value()};
  const auto broken = engine.Generate(request);
  ASSERT_OK(broken);
  EXPECT_THAT(broken->completion.status,
              StatusIs(absl::StatusCode::kInvalidArgument, "constraint: the constraint does not"));
}

}  // namespace
}  // namespace vallm::engine
