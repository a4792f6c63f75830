// A request's tokens and log-probabilities depend on the request alone: not on the batch, the
// chunking, the number of workers, or where a stream was taken up again. Equality, not closeness.
#include <cmath>
#include <map>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/engine_service/demo_engine.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

// Engines are started once and shared: loading is the slow part.
class SharedEngines final : public ::testing::Environment {
 public:
  void TearDown() override { engines_.clear(); }
  Engine& Get(int32_t tensor_parallel_size) {
    auto& engine = engines_[tensor_parallel_size];
    if (engine == nullptr) engine = ServingEngine(DemoOptions(tensor_parallel_size));
    return *engine;
  }

 private:
  std::map<int32_t, std::unique_ptr<Engine>> engines_;
};

SharedEngines* const shared_engines =
    static_cast<SharedEngines*>(::testing::AddGlobalTestEnvironment(new SharedEngines));

Engine& SharedEngine(int32_t tensor_parallel_size) {
  return shared_engines->Get(tensor_parallel_size);
}

class EngineExactnessTest : public ::testing::Test {
 protected:
  static GenerationRequest Greedy(const GoldenPrompt& prompt) {
    GenerationRequest request;
    request.prompt_ids = prompt.prompt_ids;
    request.sampling.temperature = 0.0f;
    request.max_tokens = static_cast<int32_t>(prompt.continuation_ids.size());
    request.top_logprobs = 5;
    return request;
  }
  // Random ids and a high temperature: the demo model is so sure of itself on real prompts that
  // hardly anything else would show a difference.
  static GenerationRequest Wild(uint32_t seed, int prompt_count = 50) {
    std::mt19937 random(seed);
    GenerationRequest request;
    for (int i = 0; i < prompt_count; ++i) request.prompt_ids.push_back(random() % 6200);
    request.sampling = {.temperature = 1.7f, .top_p = 1.0f, .top_k = 0, .seed = seed};
    request.max_tokens = 24;
    request.ignore_eos = true;
    request.top_logprobs = 20;
    return request;
  }
  static std::vector<GenerationRequest> WildRequests() {
    std::vector<GenerationRequest> requests;
    for (const int count : {1, 15, 16, 17, 100, 333}) requests.push_back(Wild(count, count));
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
    EXPECT_EQ(a.tokens.prompt_logprobs, b.tokens.prompt_logprobs) << "bits of the prompt's";
    EXPECT_EQ(a.completion.reason, b.completion.reason);
    EXPECT_EQ(a.completion.stop_id, b.completion.stop_id);
  }
};

class GoldenTest : public EngineExactnessTest, public ::testing::WithParamInterface<int32_t> {};

TEST_P(GoldenTest, GreedyTokensAndLogprobsAreTheReferences) {
  for (const GoldenPrompt& prompt : GoldenPrompts()) {
    SCOPED_TRACE(prompt.name);
    const Generation answer = Run(SharedEngine(GetParam()), Greedy(prompt));
    EXPECT_EQ(answer.tokens.token_ids, prompt.continuation_ids);
    const bool stopped = prompt.continuation_ids.back() == 6272;
    EXPECT_EQ(answer.completion.reason, stopped ? FinishReason::kStop : FinishReason::kLength);
    EXPECT_EQ(answer.completion.usage.prompt_tokens, int(prompt.prompt_ids.size()));
    EXPECT_EQ(answer.completion.usage.completion_tokens, int(prompt.continuation_ids.size()));
    ASSERT_EQ(answer.tokens.logprobs.size(), prompt.steps_top5.size());
    for (size_t step = 0; step < prompt.steps_top5.size(); ++step) {
      const PositionLogprobs& logprobs = answer.tokens.logprobs[step];
      EXPECT_EQ(logprobs.rank, 1);
      ASSERT_EQ(logprobs.top.size(), 5u);
      EXPECT_EQ(logprobs.top[0].logprob, logprobs.logprob);
      EXPECT_EQ(logprobs.top[0].token_id, prompt.steps_top5[step][0].first);
      EXPECT_NEAR(logprobs.top[0].logprob, prompt.steps_top5[step][0].second, 1e-4);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(TensorParallel, GoldenTest, ::testing::Values(1, 2));

TEST_F(EngineExactnessTest, TwoWorkersGiveTheBitsOfOne) {
  for (const GoldenPrompt& prompt : GoldenPrompts()) {
    SCOPED_TRACE(prompt.name);
    ExpectSame(Run(SharedEngine(1), Greedy(prompt)), Run(SharedEngine(2), Greedy(prompt)));
  }
  for (const GenerationRequest& request : WildRequests()) {
    ExpectSame(Run(SharedEngine(1), request), Run(SharedEngine(2), request));
  }
}

// Four and eight ranks on a machine with fewer cores are slow, so one short request each.
TEST_F(EngineExactnessTest, FourAndEightWorkersGiveTheBitsOfOne) {
  GenerationRequest request = Wild(40, 40);
  request.max_tokens = 6;
  const Generation one = Run(SharedEngine(1), request);
  for (const int32_t size : {4, 8}) {
    EngineOptions options = DemoOptions(size);
    options.threads_per_worker = 1;
    ExpectSame(one, Run(*ServingEngine(options), request));
  }
}

TEST_F(EngineExactnessTest, ABatchGivesTheBitsOfSingleRuns) {
  for (const int32_t size : {1, 2}) {
    Engine& engine = SharedEngine(size);
    const std::vector<GenerationRequest> requests = WildRequests();
    const auto together = engine.GenerateAll(requests);
    ASSERT_EQ(together.size(), requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      ASSERT_OK(together[i]);
      ExpectSame(*together[i], Run(engine, requests[i]));
    }
  }
}

TEST_F(EngineExactnessTest, TheChunkingOfAPromptDoesNotShow) {
  EngineOptions options = DemoOptions(1);
  options.max_num_batched_tokens = 7;
  const auto choppy = ServingEngine(options);
  for (const GenerationRequest& request : WildRequests()) {
    ExpectSame(Run(*choppy, request), Run(SharedEngine(1), request));
  }
}

TEST_F(EngineExactnessTest, AStreamTakenUpAnywhereGoesOnExactly) {
  const GenerationRequest request = Wild(77);
  const Generation whole = Run(SharedEngine(1), request);
  ASSERT_EQ(whole.tokens.token_ids.size(), 24u);
  for (const size_t cut : {1u, 7u, 23u}) {
    GenerationRequest rest = request;
    rest.resumed_ids.assign(whole.tokens.token_ids.begin(), whole.tokens.token_ids.begin() + cut);
    const Generation resumed = Run(SharedEngine(2), rest);
    std::vector<int32_t> ids = rest.resumed_ids;
    ids.insert(ids.end(), resumed.tokens.token_ids.begin(), resumed.tokens.token_ids.end());
    EXPECT_EQ(ids, whole.tokens.token_ids);
    const std::vector<PositionLogprobs> tail(whole.tokens.logprobs.begin() + cut,
                                             whole.tokens.logprobs.end());
    EXPECT_EQ(resumed.tokens.logprobs, tail);
    EXPECT_EQ(resumed.completion.usage.completion_tokens, 24);
  }
}

// One request for each sampling parameter, and one for all of them.
std::vector<GenerationRequest> RequestsOfEveryParameter(GenerationRequest base) {
  std::vector<GenerationRequest> requests(10, base);
  const auto sampling = [&](size_t i) -> SamplingOverrides& { return requests[i].sampling; };
  sampling(0).min_p = 0.02f;
  sampling(1).repetition_penalty = 1.4f;
  sampling(2).presence_penalty = 1.5f;
  sampling(3).frequency_penalty = 1.1f;
  sampling(4).logit_bias = {{100, 4.0f}, {200, 5.0f}, {300, -100.0f}};
  sampling(5).allowed_ids = std::vector<int32_t>{10, 20, 30, 40, 50, 60};
  sampling(6).bad_words = {{100}, {200, 300}};
  requests[7].ignore_eos = false;
  requests[7].min_tokens = 20;
  sampling(8).top_p = 0.8f;
  SamplingOverrides& all = sampling(9);
  all.min_p = 1e-4f;
  all.repetition_penalty = 1.2f;
  all.presence_penalty = 0.5f;
  all.frequency_penalty = -0.4f;
  all.logit_bias = {{5, 6.0f}};
  all.bad_words = {{7}, {5, 5, 5}};
  all.top_p = 0.9f;
  all.top_k = 900;
  requests[9].min_tokens = 24;
  return requests;
}

TEST_F(EngineExactnessTest, SamplingParametersDependOnTheRequestAlone) {
  EngineOptions options = DemoOptions(1);
  options.max_num_batched_tokens = 9;
  const auto choppy = ServingEngine(options);
  const std::vector<GenerationRequest> requests = RequestsOfEveryParameter(Wild(31));
  const auto together = SharedEngine(2).GenerateAll(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const Generation alone = Run(SharedEngine(1), requests[i]);
    ASSERT_OK(together[i]);
    ExpectSame(*together[i], alone);
    ExpectSame(Run(*choppy, requests[i]), alone);
    EXPECT_EQ(alone.tokens.token_ids.size(), 24u);
    for (const size_t cut : {1u, 13u, 23u}) {
      GenerationRequest rest = requests[i];
      const auto begin = alone.tokens.token_ids.begin();
      rest.resumed_ids.assign(begin, begin + cut);
      const Generation resumed = Run(SharedEngine(1), rest);
      EXPECT_EQ(resumed.tokens.token_ids, std::vector<int32_t>(begin + cut, begin + 24));
    }
  }
}

// So many rows that several threads choose their tokens, some of them under one grammar.
TEST_F(EngineExactnessTest, ALargeBatchGivesTheBitsOfSingleRuns) {
  EngineOptions options = DemoOptions(1);
  options.max_batch_size = 32;
  const auto engine = ServingEngine(options);
  std::vector<GenerationRequest> requests = RequestsOfEveryParameter(Wild(32));
  while (requests.size() < 32) {
    requests.push_back(Wild(static_cast<uint32_t>(requests.size()), 20));
    if (requests.size() % 2 == 0) {
      requests.back().constraint = {
          .spec = {.kind = ConstraintSpec::Kind::kRegex, .text = "([a-z]{1,8} ){4,9}[0-9]+"}};
    }
    if (requests.size() % 5 == 0) requests.back().prompt_top_logprobs = 3;
  }
  const auto together = engine->GenerateAll(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_OK(together[i]);
    ExpectSame(*together[i], Run(SharedEngine(1), requests[i]));
  }
}

TEST_F(EngineExactnessTest, SamplingParametersDoWhatTheySay) {
  const auto ids = [&](const GenerationRequest& request) {
    return Run(SharedEngine(1), request).tokens.token_ids;
  };
  const std::vector<GenerationRequest> requests = RequestsOfEveryParameter(Wild(31));
  for (const int32_t id : ids(requests[5])) EXPECT_TRUE(id % 10 == 0 && id >= 10 && id <= 60);
  // Likely whatever the model thinks, and never twice.
  GenerationRequest request = Wild(32);
  request.sampling.temperature = 0.0f;
  request.sampling.logit_bias = {{11, 100.0f}, {12, 60.0f}};
  EXPECT_EQ(ids(request), std::vector<int32_t>(24, 11));
  request.sampling.bad_words = {{11, 11}};
  const std::vector<int32_t> alternating = ids(request);
  EXPECT_THAT(std::vector<int32_t>(alternating.begin(), alternating.begin() + 3),
              ::testing::ElementsAre(11, 12, 11));
  // An end that would come at once comes as soon as it may.
  request = Wild(33);
  request.ignore_eos = false;
  request.sampling.logit_bias = {{6272, 100.0f}};
  EXPECT_EQ(ids(request), std::vector<int32_t>{6272});
  request.min_tokens = 5;
  const std::vector<int32_t> late = ids(request);
  ASSERT_EQ(late.size(), 6u);
  EXPECT_EQ(late.back(), 6272);
  // What was forbidden to come is the request's own fault.
  request.sampling.allowed_ids = std::vector<int32_t>{6272};
  const auto nothing = SharedEngine(1).Generate(request);
  ASSERT_OK(nothing);
  EXPECT_THAT(nothing->completion.status,
              testing::StatusIs(absl::StatusCode::kInvalidArgument, "no token is left"));
  request.sampling.allowed_ids = std::vector<int32_t>{6400};
  EXPECT_THAT(SharedEngine(1).Generate(request),
              testing::StatusIs(absl::StatusCode::kInvalidArgument, "allowed_token_ids has id"));
  request.sampling.allowed_ids.reset();
  request.min_tokens = 25;
  EXPECT_THAT(SharedEngine(1).Generate(request),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                "min_tokens is 25; it must be in 0 to max_tokens, 24"));
}

TEST_F(EngineExactnessTest, PromptLogprobsAreThoseOfThePromptsPrefixes) {
  GenerationRequest request = Wild(51, 100);
  request.prompt_top_logprobs = 3;
  request.max_tokens = 2;
  const Generation scored = Run(SharedEngine(1), request);
  ASSERT_EQ(scored.tokens.prompt_logprobs.size(), 99u);
  for (const size_t at : {1u, 15u, 16u, 33u, 99u}) {
    GenerationRequest prefix = Wild(51, 100);
    prefix.prompt_ids.resize(at);
    prefix.sampling.allowed_ids = std::vector<int32_t>{request.prompt_ids[at]};
    prefix.max_tokens = 1;
    prefix.top_logprobs = 3;
    const Generation next = Run(SharedEngine(1), prefix);
    EXPECT_EQ(next.tokens.token_ids.at(0), request.prompt_ids[at]);
    EXPECT_EQ(next.tokens.logprobs.at(0), scored.tokens.prompt_logprobs[at - 1]) << at;
  }
  // What is asked for besides changes nothing.
  GenerationRequest unscored = request;
  unscored.prompt_top_logprobs.reset();
  EXPECT_EQ(Run(SharedEngine(1), unscored).tokens.token_ids, scored.tokens.token_ids);
}

TEST_F(EngineExactnessTest, PromptLogprobsDependOnTheRequestAlone) {
  EngineOptions options = DemoOptions(1);
  options.max_num_batched_tokens = 7;
  const auto choppy = ServingEngine(options);
  options = DemoOptions(1);
  options.num_kv_blocks = 30;  // together they need more: the last in rank are computed again
  const auto tight = ServingEngine(options);
  std::vector<GenerationRequest> requests = WildRequests();
  for (GenerationRequest& request : requests) request.prompt_top_logprobs = 2;
  const auto together = SharedEngine(2).GenerateAll(requests);
  const auto preempted = tight->GenerateAll(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    const Generation alone = Run(SharedEngine(1), requests[i]);
    EXPECT_EQ(alone.tokens.prompt_logprobs.size(), requests[i].prompt_ids.size() - 1);
    ASSERT_OK(together[i]);
    ASSERT_OK(preempted[i]);
    ExpectSame(*together[i], alone);
    ExpectSame(*preempted[i], alone);
    ExpectSame(Run(*choppy, requests[i]), alone);
    EXPECT_EQ(Run(SharedEngine(1), requests[i]).completion.usage.cached_tokens, 0);
  }
  requests[0].resumed_ids = {1};
  EXPECT_THAT(SharedEngine(1).Generate(requests[0]),
              testing::StatusIs(absl::StatusCode::kInvalidArgument, "exclude each other"));
  requests[0].resumed_ids.clear();
  requests[0].prompt_top_logprobs = 6401;
  EXPECT_THAT(SharedEngine(1).Generate(requests[0]),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                "prompt_logprobs.top_count is 6401; it must be in 0 to 6400"));
}

TEST_F(EngineExactnessTest, ASeedDecidesAndADrawnOneIsReported) {
  GenerationRequest request = Wild(5);
  const Generation first = Run(SharedEngine(1), request);
  EXPECT_EQ(first.seed, 5);
  ExpectSame(first, Run(SharedEngine(1), request));
  request.sampling.seed = 6;
  EXPECT_NE(first.tokens.token_ids, Run(SharedEngine(1), request).tokens.token_ids);
  request.sampling.seed.reset();
  const Generation drawn = Run(SharedEngine(1), request);
  request.sampling.seed = drawn.seed;
  ExpectSame(drawn, Run(SharedEngine(1), request));
}

TEST_F(EngineExactnessTest, LogprobsOfTheWholeVocabularySumToOne) {
  GenerationRequest request = Wild(9);
  request.max_tokens = 2;
  request.top_logprobs = SharedEngine(1).model_info().vocab_size;
  for (const PositionLogprobs& logprobs : Run(SharedEngine(1), request).tokens.logprobs) {
    ASSERT_EQ(logprobs.top.size(), 6400u);
    double sum = 0;
    for (const TokenLogprob& token : logprobs.top) sum += std::exp(double{token.logprob});
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

}  // namespace
}  // namespace vallm::engine
