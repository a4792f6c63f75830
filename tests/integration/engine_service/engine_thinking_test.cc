// Thoughts that the engine closes, over real workers: where they end is a matter of the request
// alone, like every other token.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/engine_service/demo_engine.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;
using Ids = std::vector<int32_t>;

constexpr int32_t kOpen = 6294;
constexpr int32_t kClose = 6295;
constexpr char kTurn[] = "<|im_start|>user\nHow are you?<|im_end|>\n<|im_start|>assistant\n";

class EngineThinkingTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const int32_t size : {1, 2}) engines_[size] = ServingEngine(DemoOptions(size));
    tokenizer_ = tokenizer::Tokenizer::FromModelDir(kDemoModel).value();
    closing_ = ThoughtTokens::FromTokenizer(*tokenizer_, 6400)->closing_ids;
  }
  static void TearDownTestSuite() {
    engines_.clear();
    tokenizer_.reset();
  }

  // So hot that its thought has no end.
  static GenerationRequest Wild(int64_t seed, std::optional<int32_t> budget,
                                const std::string& opening = "<think>\n") {
    GenerationRequest request;
    request.prompt_ids = tokenizer_->Encode(kTurn + opening).value();
    request.sampling = {.temperature = 2.0f, .top_p = 1.0f, .top_k = 0, .seed = seed};
    request.sampling.logit_bias = {{kClose, -100.0f}};
    request.max_tokens = 60;
    request.ignore_eos = true;
    request.top_logprobs = 3;
    request.thinking.token_budget = budget;
    return request;
  }
  // One for each budget, and some with parameters that are against what is forced.
  static std::vector<GenerationRequest> WildRequests() {
    std::vector<GenerationRequest> requests;
    for (const int32_t budget : {0, 1, 7, 24, 50}) requests.push_back(Wild(budget, budget));
    requests.push_back(Wild(6, 5));
    SamplingOverrides& against = requests.back().sampling;
    for (const int32_t id : closing_) against.bad_words.push_back({id});
    against.repetition_penalty = 1.3f;
    against.presence_penalty = 1.0f;
    requests.push_back(Wild(7, 9));
    requests.back().sampling.allowed_ids = Ids{500, 501, 502, 503, 504};
    requests.back().min_tokens = 60;
    requests.back().ignore_eos = false;
    requests.push_back(Wild(8, 6, ""));  // opens the thought itself
    requests.back().sampling.logit_bias = {{kOpen, 100.0f}, {kClose, -100.0f}};
    requests.push_back(Wild(9, {}));
    requests.back().thinking.end_position = 11;
    return requests;
  }
  static Generation Run(Engine& engine, const GenerationRequest& request) {
    auto answer = engine.Generate(request);
    EXPECT_OK(answer);
    EXPECT_OK(answer->completion.status);
    return *std::move(answer);
  }
  static Generation Run(int32_t workers, const GenerationRequest& request) {
    return Run(*engines_.at(workers), request);
  }
  static void ExpectSame(const Generation& a, const Generation& b) {
    EXPECT_EQ(a.tokens.token_ids, b.tokens.token_ids);
    EXPECT_EQ(a.tokens.logprobs, b.tokens.logprobs) << "bits of log-probabilities";
    EXPECT_EQ(a.completion.reason, b.completion.reason);
  }
  // Where the closing sentence begins in `ids`; their size if it is not there.
  static int64_t PlaceOfClosing(const Ids& ids) {
    return std::search(ids.begin(), ids.end(), closing_.begin(), closing_.end()) - ids.begin();
  }

  static inline std::map<int32_t, std::unique_ptr<Engine>> engines_;
  static inline std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  static inline Ids closing_;
};

TEST_F(EngineThinkingTest, AThoughtIsClosedAtItsBudgetWhateverIsForbidden) {
  const std::vector<int64_t> places = {0, 1, 7, 24, 50, 5, 9, 7, 11};
  const std::vector<GenerationRequest> requests = WildRequests();
  for (size_t i = 0; i < requests.size(); ++i) {
    const Generation answer = Run(1, requests[i]);
    const Ids& ids = answer.tokens.token_ids;
    ASSERT_EQ(ids.size(), 60u) << i;
    if (places[i] + int64_t(closing_.size()) <= 60) {
      EXPECT_EQ(PlaceOfClosing(ids), places[i]) << i;
    } else {  // max_tokens ends it
      EXPECT_TRUE(std::equal(ids.begin() + places[i], ids.end(), closing_.begin())) << i;
    }
    EXPECT_EQ(answer.completion.reason, FinishReason::kLength);
  }
}

TEST_F(EngineThinkingTest, TokensAreTheSameAloneTogetherChunkedPreemptedAndOverTwoWorkers) {
  EngineOptions options = DemoOptions(1);
  options.max_num_batched_tokens = 5;
  const auto choppy = ServingEngine(options);
  options = DemoOptions(1);
  options.num_kv_blocks = 12;
  const auto tight = ServingEngine(options);
  const std::vector<GenerationRequest> requests = WildRequests();
  const auto together = engines_.at(2)->GenerateAll(requests);
  const auto preempted = tight->GenerateAll(requests);
  EXPECT_GT(tight->load().counters.preemptions, 0);
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const Generation alone = Run(1, requests[i]);
    ASSERT_OK(together[i]);
    ASSERT_OK(preempted[i]);
    ExpectSame(*together[i], alone);
    ExpectSame(*preempted[i], alone);
    ExpectSame(Run(*choppy, requests[i]), alone);
  }
}

TEST_F(EngineThinkingTest, AStreamIsTakenUpAnywhere) {
  const std::vector<GenerationRequest> requests = WildRequests();
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const Generation whole = Run(1, requests[i]);
    const Ids& ids = whole.tokens.token_ids;
    std::vector<GenerationRequest> rests;
    // Every cut of one, those around the sentence of the others.
    for (int64_t cut = 1; cut < int64_t(ids.size()); cut += i == 2 ? 1 : 5) {
      rests.push_back(requests[i]);
      rests.back().resumed_ids.assign(ids.begin(), ids.begin() + cut);
    }
    const auto resumed = engines_.at(2)->GenerateAll(rests);
    for (size_t k = 0; k < rests.size(); ++k) {
      const auto cut = static_cast<int64_t>(rests[k].resumed_ids.size());
      ASSERT_OK(resumed[k]);
      EXPECT_EQ(resumed[k]->tokens.token_ids, Ids(ids.begin() + cut, ids.end())) << cut;
      const auto& logprobs = whole.tokens.logprobs;
      EXPECT_EQ(resumed[k]->tokens.logprobs,
                std::vector<PositionLogprobs>(logprobs.begin() + cut, logprobs.end()));
    }
  }
}

TEST_F(EngineThinkingTest, ForcedTokensHaveTheModelsOwnLogprobs) {
  const GenerationRequest request = Wild(12, 4);
  const Generation answer = Run(1, request);
  GenerationRequest scored;
  scored.prompt_ids = request.prompt_ids;
  const Ids& ids = answer.tokens.token_ids;
  scored.prompt_ids.insert(scored.prompt_ids.end(), ids.begin(), ids.end());
  scored.max_tokens = 1;
  scored.prompt_top_logprobs = 3;
  const auto all = Run(1, scored).tokens.prompt_logprobs;
  const auto begin = all.begin() + static_cast<int64_t>(request.prompt_ids.size()) - 1;
  EXPECT_EQ(answer.tokens.logprobs, std::vector<PositionLogprobs>(begin, all.end()));
}

TEST_F(EngineThinkingTest, ARealThoughtIsCutAndTheAnswerFollows) {
  for (const GoldenPrompt& prompt : GoldenPrompts()) {
    const Ids& golden = prompt.continuation_ids;
    if (golden.front() != kOpen) continue;
    SCOPED_TRACE(prompt.name);
    GenerationRequest request;
    request.prompt_ids = prompt.prompt_ids;
    request.sampling.temperature = 0.0f;
    request.max_tokens = 200;
    request.thinking.token_budget = 4;
    const Ids ids = Run(1, request).tokens.token_ids;
    const auto own_close = std::find(golden.begin(), golden.end(), kClose) - golden.begin();
    if (own_close <= 5) {  // the model was quicker
      EXPECT_TRUE(std::equal(golden.begin(), golden.end(), ids.begin()));
      EXPECT_EQ(PlaceOfClosing(ids), int64_t(ids.size()));
      continue;
    }
    EXPECT_TRUE(std::equal(golden.begin(), golden.begin() + 5, ids.begin()));
    EXPECT_EQ(PlaceOfClosing(ids), 5);
    EXPECT_GT(ids.size(), 5 + closing_.size() + 1) << "an answer";
    EXPECT_EQ(std::count(ids.begin(), ids.end(), kClose), 1);
    // A budget beyond the thought changes nothing.
    request.max_tokens = static_cast<int32_t>(golden.size());
    request.thinking.token_budget = 1000;
    EXPECT_EQ(Run(1, request).tokens.token_ids, golden);
  }
}

TEST_F(EngineThinkingTest, AConstraintHoldsWhatFollowsTheClose) {
  for (const auto& [phase, opening, place] :
       {std::tuple{ConstraintStart::Phase::kThinking, "<think>\n", 3},
        std::tuple{ConstraintStart::Phase::kMaybeThinking, "", 4}}) {
    GenerationRequest request = Wild(21, 3, opening);
    request.sampling.logit_bias = {{kOpen, 100.0f}, {kClose, -100.0f}};
    request.ignore_eos = false;
    request.constraint = RequestConstraint{
        .spec = {.kind = ConstraintSpec::Kind::kChoice, .choices = {"yes", "no"}}, .start = phase};
    const Generation answer = Run(1, request);
    const Ids& ids = answer.tokens.token_ids;
    EXPECT_EQ(answer.completion.reason, FinishReason::kStop);
    const auto close = std::find(ids.begin(), ids.end(), kClose);
    ASSERT_EQ(close - ids.begin(), place + int64_t(closing_.size()) - 2);
    std::string text;
    for (auto id = close + 1; id < ids.end() - 1; ++id) text += tokenizer_->TokenBytes(*id);
    EXPECT_THAT(text, ::testing::AnyOf("yes", "no"));
    for (size_t cut = 1; cut < ids.size(); ++cut) {
      GenerationRequest rest = request;
      rest.resumed_ids.assign(ids.begin(), ids.begin() + static_cast<int64_t>(cut));
      EXPECT_EQ(Run(2, rest).tokens.token_ids,
                Ids(ids.begin() + static_cast<int64_t>(cut), ids.end()));
    }
  }
  // A constraint that begins with the answer leaves no room for a thought.
  GenerationRequest request = Wild(22, 0);
  request.ignore_eos = false;
  request.constraint =
      RequestConstraint{.spec = {.kind = ConstraintSpec::Kind::kChoice, .choices = {"yes"}}};
  EXPECT_EQ(PlaceOfClosing(Run(1, request).tokens.token_ids),
            int64_t(Run(1, request).tokens.token_ids.size()));
}

TEST_F(EngineThinkingTest, AStopTokenOfTheSentenceStops) {
  GenerationRequest request = Wild(31, 2);
  request.stop_ids = {kClose};
  request.min_tokens = 60;  // forbids the model to stop, not the sentence
  const Generation answer = Run(1, request);
  EXPECT_EQ(answer.completion.reason, FinishReason::kStop);
  EXPECT_EQ(answer.completion.stop_id, kClose);
  EXPECT_EQ(answer.tokens.token_ids.size(), 2 + closing_.size() - 1);
}

TEST_F(EngineThinkingTest, AThoughtEndsOnDemand) {
  for (const std::string opening : {"<think>\n", ""}) {
    GenerationRequest request = Wild(41, {}, opening);
    request.sampling.logit_bias = {{kOpen, opening.empty() ? 100.0f : -100.0f}, {kClose, -100.0f}};
    request.max_tokens = 250;
    request.request_id = "thinker";
    Engine& engine = *engines_.at(1);
    Generation ended;
    std::thread caller([&] { ended = Run(engine, request); });
    const int64_t before = engine.load().generated_tokens;
    while (engine.load().generated_tokens < before + 20) absl::SleepFor(absl::Milliseconds(1));
    const absl::StatusOr<int32_t> position = engine.EndThinking("thinker");
    ASSERT_OK(position);
    EXPECT_EQ(engine.EndThinking("thinker").value(), *position) << "again: no change";
    caller.join();
    EXPECT_GE(*position, 19);
    EXPECT_EQ(PlaceOfClosing(ended.tokens.token_ids), *position);
    // Made again with the position, the tokens are the same: also over two workers, from any cut.
    request.thinking.end_position = *position;
    ExpectSame(Run(2, request), ended);
    for (const int32_t cut : {*position - 1, *position, *position + 1, *position + 9}) {
      request.resumed_ids.assign(ended.tokens.token_ids.begin(),
                                 ended.tokens.token_ids.begin() + cut);
      EXPECT_EQ(Run(2, request).tokens.token_ids,
                Ids(ended.tokens.token_ids.begin() + cut, ended.tokens.token_ids.end()));
    }
  }
}

TEST_F(EngineThinkingTest, EndThinkingSaysWhenThereIsNothingToEnd) {
  Engine& engine = *engines_.at(1);
  EXPECT_THAT(engine.EndThinking("nobody"),
              StatusIs(absl::StatusCode::kNotFound, "no live request has the id \"nobody\""));
  GenerationRequest request = Wild(51, {}, "<think>\n\n</think>\n\n");
  request.request_id = "answerer";
  request.max_tokens = 250;
  Generation answer;
  std::thread caller([&] { answer = Run(engine, request); });
  const int64_t before = engine.load().generated_tokens;
  while (engine.load().generated_tokens < before + 5) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_THAT(engine.EndThinking("answerer"),
              StatusIs(absl::StatusCode::kFailedPrecondition, "\"answerer\" is not thinking"));
  caller.join();
  EXPECT_EQ(PlaceOfClosing(answer.tokens.token_ids), 250);
}

TEST_F(EngineThinkingTest, AQueuedThoughtEndsWhenItBegins) {
  EngineOptions options = DemoOptions(1);
  options.max_batch_size = 1;
  const auto engine = ServingEngine(options);
  GenerationRequest first = Wild(61, {});
  first.max_tokens = 250;
  std::thread busy([&] { Run(*engine, first); });
  while (engine->load().running == 0) absl::SleepFor(absl::Milliseconds(1));
  GenerationRequest second = Wild(62, {});
  second.request_id = "waiter";
  Generation ended;
  std::thread caller([&] { ended = Run(*engine, second); });
  while (engine->load().waiting == 0) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(engine->EndThinking("waiter").value(), 0);
  caller.join();
  busy.join();
  EXPECT_EQ(PlaceOfClosing(ended.tokens.token_ids), 0);
}

TEST_F(EngineThinkingTest, RefusesWhatItCannotDo) {
  Engine& engine = *engines_.at(1);
  EXPECT_THAT(engine.Generate(Wild(1, -1)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "thinking.token_budget is -1; it must be at least 0"));
  GenerationRequest request = Wild(1, 5);
  request.thinking.end_position = -7;
  EXPECT_THAT(engine.Generate(request),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "thinking.end_position is -7; it must be at least 0"));
}

}  // namespace
}  // namespace vallm::engine
