// Speculation over real workers: it saves steps and changes nothing else, to the bit.
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/engine_service/demo_engine.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::engine {
namespace {

class EngineSpeculationTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const int32_t size : {1, 2}) engines_[size] = ServingEngine(DemoOptions(size));
    tokenizer_ = tokenizer::Tokenizer::FromModelDir(kDemoModel).value();
  }
  static void TearDownTestSuite() {
    engines_.clear();
    tokenizer_.reset();
  }

  static GenerationRequest Request(const std::string& text, float temperature, int64_t seed) {
    GenerationRequest request;
    request.prompt_ids =
        tokenizer_->Encode("<|im_start|>user\n" + text + "<|im_end|>\n<|im_start|>assistant\n")
            .value();
    request.sampling = {.temperature = temperature, .seed = seed};
    request.max_tokens = 50;
    request.top_logprobs = 2;
    return request;
  }
  // What repeats itself, what does not, and parameters that look back at the output.
  static std::vector<GenerationRequest> Requests() {
    const std::string counting = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12. Count from 1 to 40.";
    std::vector<GenerationRequest> requests;
    for (const float temperature : {0.0f, 0.5f, 1.5f}) {
      requests.push_back(Request(counting, temperature, 1));
      requests.push_back(Request("How are you?", temperature, 2));
      requests.back().ignore_eos = true;  // it goes on in circles
    }
    requests.push_back(Request(counting, 0.7f, 3));
    requests.back().sampling.repetition_penalty = 1.2f;
    requests.back().sampling.frequency_penalty = 0.4f;
    requests.push_back(Request(counting, 0.0f, 4));
    requests.back().stop_ids = tokenizer_->Encode("9").value();
    requests.push_back(Request(counting, 0.0f, 5));
    requests.back().thinking.token_budget = 6;
    requests.push_back(Request(counting, 0.0f, 6));
    requests.back().prompt_top_logprobs = 1;
    requests.push_back(Request("Give me a list.", 0.8f, 7));
    requests.back().constraint =
        RequestConstraint{.spec = {.kind = ConstraintSpec::Kind::kRegex, .text = "(ab, ){10,}c"}};
    return requests;
  }
  static std::vector<GenerationRequest> Speculating(std::vector<GenerationRequest> requests) {
    int32_t count = 1;
    for (GenerationRequest& request : requests) {
      request.speculation = {.num_tokens = 1 + count++ % 16, .min_length = 1, .max_length = 3};
    }
    return requests;
  }
  static Generation Run(Engine& engine, const GenerationRequest& request) {
    auto answer = engine.Generate(request);
    EXPECT_OK(answer);
    EXPECT_OK(answer->completion.status);
    return *std::move(answer);
  }
  static void ExpectSame(const Generation& a, const Generation& b) {
    EXPECT_EQ(a.tokens.token_ids, b.tokens.token_ids);
    EXPECT_EQ(a.tokens.logprobs, b.tokens.logprobs) << "bits of log-probabilities";
    EXPECT_EQ(a.tokens.prompt_logprobs, b.tokens.prompt_logprobs);
    EXPECT_EQ(a.completion.reason, b.completion.reason);
    EXPECT_EQ(a.completion.stop_id, b.completion.stop_id);
  }

  static inline std::map<int32_t, std::unique_ptr<Engine>> engines_;
  static inline std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
};

TEST_F(EngineSpeculationTest, TokensAreTheSameAloneTogetherChunkedPreemptedAndOverTwoWorkers) {
  EngineOptions options = DemoOptions(1);
  options.max_num_batched_tokens = 6;
  const auto choppy = ServingEngine(options);
  options = DemoOptions(1);
  options.num_kv_blocks = 12;
  const auto tight = ServingEngine(options);
  const std::vector<GenerationRequest> plain = Requests();
  const std::vector<GenerationRequest> requests = Speculating(plain);
  const auto together = engines_.at(2)->GenerateAll(requests);
  const auto preempted = tight->GenerateAll(requests);
  int32_t accepted = 0;
  int32_t rejected = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const Generation expected = Run(*engines_.at(1), plain[i]);
    EXPECT_EQ(expected.completion.usage.draft_tokens, 0);
    const Generation alone = Run(*engines_.at(1), requests[i]);
    ExpectSame(alone, expected);
    ExpectSame(Run(*choppy, requests[i]), expected);
    ASSERT_OK(together[i]);
    ExpectSame(*together[i], expected);
    ASSERT_OK(preempted[i]);
    ExpectSame(*preempted[i], expected);
    const Usage& usage = alone.completion.usage;
    accepted += usage.accepted_draft_tokens;
    rejected += usage.draft_tokens - usage.accepted_draft_tokens;
  }
  EXPECT_GT(accepted, 50);
  EXPECT_GT(rejected, 10);
  EXPECT_GT(tight->load().counters.preemptions, 0);
  EXPECT_EQ(tight->load().free_kv_blocks, 12);
}

TEST_F(EngineSpeculationTest, AnAnswerGoesOnFromAnyCut) {
  const std::vector<GenerationRequest> requests = Speculating(Requests());
  for (size_t which = 0; which < requests.size(); ++which) {
    SCOPED_TRACE(which);
    GenerationRequest request = requests[which];
    request.prompt_top_logprobs.reset();  // not for what is resumed
    const Generation whole = Run(*engines_.at(1), request);
    const size_t count = whole.tokens.token_ids.size();
    for (const size_t cut : {size_t{1}, count / 3, count / 2, count - 1}) {
      GenerationRequest rest = request;
      rest.sampling.seed = whole.seed;
      rest.resumed_ids.assign(whole.tokens.token_ids.begin(),
                              whole.tokens.token_ids.begin() + static_cast<int64_t>(cut));
      std::vector<int32_t> ids = rest.resumed_ids;
      const Generation end = Run(*engines_.at(2), rest);
      ids.insert(ids.end(), end.tokens.token_ids.begin(), end.tokens.token_ids.end());
      EXPECT_EQ(ids, whole.tokens.token_ids) << cut;
    }
  }
}

TEST_F(EngineSpeculationTest, TooManyGuessesAreRefused) {
  GenerationRequest request = Request("Hi", 0.0f, 1);
  request.speculation.num_tokens = 17;
  EXPECT_TRUE(absl::IsInvalidArgument(engines_.at(1)->Generate(request).status()));
}

}  // namespace
}  // namespace vallm::engine
