#include "engine_service/sampling_threads.h"

#include <map>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "common/mutex.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

constexpr int64_t kRows = 40;
constexpr int64_t kVocab = 4000;

std::vector<float> RandomLogits() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(kRows * kVocab);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

// A token and its log-probabilities for each row, with parameters that take all ways of drawing.
std::vector<std::pair<int32_t, PositionLogprobs>> Choose(SamplingThreads& threads,
                                                         const std::vector<float>& logits) {
  std::vector<std::pair<int32_t, PositionLogprobs>> rows(kRows);
  threads.ForEach(kRows, kRows * kVocab, [&](int64_t i, Sampler& sampler) {
    const auto row = std::span(logits).subspan(static_cast<size_t>(i * kVocab), kVocab);
    SamplingParams params;
    params.temperature = i % 5 == 0 ? 0.0f : 1.3f;
    params.top_k = i % 3 == 0 ? 50 : 0;
    params.top_p = i % 2 == 0 ? 0.95f : 1.0f;
    params.seed = i;
    const auto token = sampler.Draw(row, params, /*position=*/i);
    ASSERT_OK(token);
    rows[static_cast<size_t>(i)] = {*token, sampler.Logprobs(row, *token, /*top_count=*/5)};
  });
  return rows;
}

TEST(SamplingThreadsTest, TheBitsAreTheSameOnAnyNumber) {
  const std::vector<float> logits = RandomLogits();
  SamplingThreads one(1);
  const auto alone = Choose(one, logits);
  for (const int32_t count : {2, 3, 8}) {
    SamplingThreads threads(count);
    EXPECT_EQ(threads.count(), count);
    for (int run = 0; run < 20; ++run) EXPECT_EQ(Choose(threads, logits), alone);
  }
}

TEST(SamplingThreadsTest, EveryThreadHasItsOwnSampler) {
  SamplingThreads threads(4);
  Mutex mu;
  std::map<std::thread::id, std::set<Sampler*>> used;
  threads.ForEach(2000, 1 << 20, [&](int64_t, Sampler& sampler) {
    MutexLock lock(mu);
    used[std::this_thread::get_id()].insert(&sampler);
  });
  std::set<Sampler*> all;
  for (const auto& [thread, samplers] : used) {
    EXPECT_EQ(samplers.size(), 1u);
    all.insert(samplers.begin(), samplers.end());
  }
  EXPECT_EQ(all.size(), used.size());
}

TEST(SamplingThreadsTest, FewLogitsStayOnTheCallingThread) {
  SamplingThreads threads(4);
  const auto caller = std::this_thread::get_id();
  threads.ForEach(4, 4 * 1000,
                  [&](int64_t, Sampler&) { EXPECT_EQ(std::this_thread::get_id(), caller); });
}

}  // namespace
}  // namespace vallm::engine
