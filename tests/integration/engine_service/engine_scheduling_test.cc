// A request's tokens and log-probabilities do not show how it was scheduled: alone or among
// strangers, cut into chunks, preempted, with a cold or a warm prefix cache, taken up again after
// any token. Equality of bits on golden models over real worker processes.
#include <random>
#include <string>
#include <tuple>

#include "gtest/gtest.h"
#include "tests/integration/engine_service/demo_engine.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

constexpr int32_t kOutputTokens = 20;

class EngineSchedulingTest : public ::testing::TestWithParam<std::tuple<const char*, int32_t>> {
 protected:
  static EngineOptions Options() {
    EngineOptions options = DemoOptions(std::get<1>(GetParam()));
    options.model_dir = std::string(VALLM_TEST_DATA "/golden_models/") + std::get<0>(GetParam());
    options.threads_per_worker = 1;
    options.max_model_len = 128;
    options.max_queue_size = 100;
    return options;
  }
  // One at a time, prompts in one piece, nothing cached.
  static EngineOptions PlainOptions() {
    EngineOptions options = Options();
    options.max_batch_size = 1;
    options.enable_prefix_caching = false;
    return options;
  }

  // Prompts of many lengths, half of them with a common beginning; high temperatures, so that a
  // wrong bit shows.
  static std::vector<GenerationRequest> Requests() {
    std::mt19937 random(7);
    std::vector<int32_t> common(64);
    for (int32_t& id : common) id = static_cast<int32_t>(random() % 500);
    std::vector<GenerationRequest> requests;
    for (const int count : {1, 15, 16, 17, 33, 48, 64, 65, 80, 90}) {
      GenerationRequest request;
      if (requests.size() % 2 == 1) request.prompt_ids = common;
      request.prompt_ids.resize(std::min<size_t>(request.prompt_ids.size(), count));
      while (request.prompt_ids.size() < size_t(count)) {
        request.prompt_ids.push_back(static_cast<int32_t>(random() % 500));
      }
      request.sampling = {.temperature = 1.5f, .top_p = 1.0f, .top_k = 0, .seed = count};
      request.max_tokens = kOutputTokens;
      request.ignore_eos = true;
      request.top_logprobs = 5;
      requests.push_back(std::move(request));
    }
    return requests;
  }

  static std::vector<Generation> RunAll(Engine& engine,
                                        const std::vector<GenerationRequest>& requests) {
    std::vector<Generation> answers;
    for (auto& answer : engine.GenerateAll(requests)) {
      EXPECT_OK(answer);
      EXPECT_OK(answer->completion.status);
      answers.push_back(*std::move(answer));
    }
    EXPECT_EQ(engine.load().free_kv_blocks, engine.load().total_kv_blocks);
    return answers;
  }
  static void ExpectSame(const std::vector<Generation>& some,
                         const std::vector<Generation>& others) {
    ASSERT_EQ(some.size(), others.size());
    for (size_t i = 0; i < some.size(); ++i) {
      EXPECT_EQ(some[i].tokens.token_ids, others[i].tokens.token_ids) << "request " << i;
      EXPECT_EQ(some[i].tokens.logprobs, others[i].tokens.logprobs) << "bits of request " << i;
    }
  }
  static int32_t CachedTokens(const std::vector<Generation>& answers) {
    int32_t sum = 0;
    for (const Generation& answer : answers) sum += answer.completion.usage.cached_tokens;
    return sum;
  }
};

TEST_P(EngineSchedulingTest, NeitherChunksNorStrangersNorAWarmCacheShow) {
  const std::vector<Generation> alone = RunAll(*ServingEngine(PlainOptions()), Requests());
  EXPECT_EQ(CachedTokens(alone), 0);
  for (const int32_t budget : {1, 7, 64}) {
    SCOPED_TRACE(budget);
    EngineOptions options = Options();
    options.max_num_batched_tokens = budget;
    options.max_batch_size = std::min(budget, 4);
    options.num_kv_blocks = 128;  // nothing has to be evicted
    const auto engine = ServingEngine(options);
    ExpectSame(RunAll(*engine, Requests()), alone);
    const std::vector<Generation> warm = RunAll(*engine, Requests());
    ExpectSame(warm, alone);
    EXPECT_EQ(CachedTokens(warm), 0 + 0 + 0 + 16 + 32 + 32 + 48 + 64 + 64 + 80)
        << "all full blocks but those with a last token";
    engine->ResetPrefixCache();
    const GenerationRequest last = Requests().back();
    ExpectSame(RunAll(*engine, {last}), {alone.back()});
    EXPECT_EQ(engine->Generate(last)->completion.usage.cached_tokens, 80);
    GenerationRequest salted = last;
    salted.cache_salt = "another tenant";
    EXPECT_EQ(engine->Generate(salted)->completion.usage.cached_tokens, 0);
  }
}

TEST_P(EngineSchedulingTest, PreemptionDoesNotShow) {
  const std::vector<Generation> alone = RunAll(*ServingEngine(PlainOptions()), Requests());
  for (const bool caching : {true, false}) {
    SCOPED_TRACE(caching);
    EngineOptions options = Options();
    options.num_kv_blocks = 12;  // one of the longest and little more
    options.enable_prefix_caching = caching;
    const auto engine = ServingEngine(options);
    ExpectSame(RunAll(*engine, Requests()), alone);
    ExpectSame(RunAll(*engine, Requests()), alone);
    EXPECT_GT(engine->load().counters.preemptions, 0);
  }
}

TEST_P(EngineSchedulingTest, NorDoesWhereAStreamWasTakenUpAgain) {
  const GenerationRequest whole = Requests().back();
  const std::vector<Generation> alone = RunAll(*ServingEngine(PlainOptions()), {whole});
  const TokenBatch& tokens = alone.front().tokens;
  std::vector<GenerationRequest> rests;
  for (int32_t cut = 0; cut < kOutputTokens; ++cut) {
    rests.push_back(whole);
    rests.back().resumed_ids.assign(tokens.token_ids.begin(), tokens.token_ids.begin() + cut);
  }
  EngineOptions options = Options();
  options.num_kv_blocks = 16;
  const auto engine = ServingEngine(options);
  for (const bool warm : {false, true}) {
    SCOPED_TRACE(warm);
    const std::vector<Generation> answers = RunAll(*engine, rests);
    for (int32_t cut = 0; cut < kOutputTokens; ++cut) {
      const TokenBatch& rest = answers[static_cast<size_t>(cut)].tokens;
      EXPECT_EQ(rest.token_ids,
                std::vector(tokens.token_ids.begin() + cut, tokens.token_ids.end()));
      EXPECT_EQ(rest.logprobs, std::vector(tokens.logprobs.begin() + cut, tokens.logprobs.end()));
    }
  }
}

// The same for the mock device, which shows a wrong block at once and needs no weights.
TEST(MockEngineTest, TokensDependOnTheTokensBeforeAlone) {
  EngineOptions options = DemoOptions(2);
  options.device = "mock";
  options.max_model_len = 512;
  options.max_queue_size = 1000;
  std::mt19937 random(3);
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 60; ++i) {
    GenerationRequest request;
    if (i % 3 > 0) request.prompt_ids.assign(random() % 200, i % 3);
    for (size_t more = 1 + random() % 100; more > 0; --more) {
      request.prompt_ids.push_back(static_cast<int32_t>(random() % 6000));
    }
    request.max_tokens = static_cast<int32_t>(1 + random() % 100);
    requests.push_back(std::move(request));
  }
  EngineOptions plain = options;
  plain.max_batch_size = 1;
  plain.enable_prefix_caching = false;
  const auto alone = ServingEngine(plain)->GenerateAll(requests);
  options.max_batch_size = 16;
  options.num_kv_blocks = 40;
  const auto engine = ServingEngine(options);
  const auto together = engine->GenerateAll(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSERT_OK(alone[i]);
    ASSERT_OK(together[i]);
    EXPECT_EQ(together[i]->tokens.token_ids.size(), static_cast<size_t>(*requests[i].max_tokens));
    EXPECT_EQ(together[i]->tokens.token_ids, alone[i]->tokens.token_ids) << "request " << i;
  }
  EXPECT_GT(engine->load().counters.preemptions, 0);
  EXPECT_GT(engine->load().counters.prefix_hit_tokens, 0);
}

INSTANTIATE_TEST_SUITE_P(Models, EngineSchedulingTest,
                         ::testing::Combine(::testing::Values("qwen3-moe-bf16", "qwen3-dense-fp8"),
                                            ::testing::Values(1, 2)));

}  // namespace
}  // namespace vallm::engine
