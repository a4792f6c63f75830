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
