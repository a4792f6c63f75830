// Cost of choosing one token from Qwen3's 151,936, next to what one core needs to read the weights
// of one decode step of Qwen3-30B-A3B, measured in the same run. Not a test.
//
// The step is estimated as the bytes of the weights that one token touches over the bandwidth of a
// matrix-vector product of the CPU device; attention and everything else comes on top, so that the
// shares are upper bounds for one core.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "engine_service/device/cpu/cpu_device.h"
#include "engine_service/sampling/sampler.h"

namespace vallm::engine {
namespace {

constexpr int64_t kVocab = 151936;
constexpr int64_t kHidden = 2048;
// Per layer: qkv, o_proj, 8 of 128 experts in fp8; then lm_head in bf16.
constexpr double kStepBytes =
    48.0 * (5120 * 2048 + 2048 * 4096 + 8 * 3 * 768 * 2048 + 2 * 128 * 2048) +
    2.0 * kVocab * kHidden;

// Processor time of this thread, which other jobs on the machine do not count towards.
double Now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Seconds per call: the best of several runs of at least 10 ms.
template <typename F>
double Time(F f) {
  double best = 1e9;
  f();
  for (int run = 0; run < 12; ++run) {
    int calls = 0;
    const double begin = Now();
    double seconds = 0;
    do {
      f();
      ++calls;
      seconds = Now() - begin;
    } while (seconds < 0.01);
    best = std::min(best, seconds / calls);
  }
  return best;
}

// Seconds to read the weights of one step: by an eighth of lm_head, in copies that no cache holds.
double StepSeconds() {
  constexpr int64_t kRows = kVocab / 8;
  const auto device = CreateCpuDevice({.threads = 1}).value();
  std::vector<uint16_t> weights(kRows * kHidden, 0x3c00);
  const WeightSlice slice = {.type = WeightType::kBf16,
                             .data = weights.data(),
                             .matrix_cols = kHidden,
                             .row_begin = 0,
                             .row_count = kRows,
                             .col_begin = 0,
                             .col_count = kHidden};
  std::vector<std::unique_ptr<PackedMatrix>> packed;
  for (int i = 0; i < 3; ++i) packed.push_back(device->PackMatrix({&slice, 1}, 1).value());
  const std::vector<float> ones(kHidden, 1.0f);
  const auto x = device->Allocate(kHidden * 4).value();
  const auto y = device->Allocate(kRows * 4).value();
  (void)device->Upload(std::as_bytes(std::span(ones)), *x);
  size_t next = 0;
  const double seconds =
      Time([&] { (void)device->MatMul(*x, 1, *packed[next++ % packed.size()], *y); });
  return kStepBytes * seconds / (2.0 * kRows * kHidden);
}

// What a model is like that is fairly sure: a few tokens stand out of a broad rest.
std::vector<float> Logits(float spread) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(kVocab);
  for (float& logit : logits) logit = normal(random);
  for (int i = 0; i < 12; ++i) logits[random() % kVocab] += 5 * spread;
  return logits;
}

void Main() {
  const double step = StepSeconds();
  std::printf("decode step of Qwen3-30B-A3B, one core: %.1f ms (%.2f GB of weights)\n", step * 1e3,
              kStepBytes * 1e-9);
  const std::vector<float> sure = Logits(3), unsure = Logits(0.5f);
  std::vector<int32_t> prompt(4096), output(1024);
  std::mt19937 random(2);
  for (int32_t& id : prompt) id = static_cast<int32_t>(random() % kVocab);
  for (int32_t& id : output) id = static_cast<int32_t>(random() % kVocab);
  const std::vector<uint64_t> mask((kVocab + 63) / 64, 0x0123456789abcdef);
  Sampler sampler;
  const auto report = [&](const char* name, double seconds) {
    std::printf("%-44s %8.1f us   %6.3f %% of the step\n", name, seconds * 1e6,
                100 * seconds / step);
  };
  const auto bench = [&](const char* name, const std::vector<float>& logits,
                         const SamplingParams& params) {
    // Each draw another seed, so that every kind of draw is in the mean.
    SamplingParams varied = params;
    report(name, Time([&] {
             ++varied.seed;
             (void)sampler.Draw(logits, varied, 0);
           }));
  };
  bench("greedy", sure, {.temperature = 0});
  bench("temperature", sure, {});
  bench("top_k 20, top_p 0.95", sure, {.temperature = 0.6f, .top_p = 0.95f, .top_k = 20});
  bench("top_p 0.95", sure, {.temperature = 0.6f, .top_p = 0.95f});
  bench("top_p 0.95, nucleus of 100,000 tokens", unsure, {.top_p = 0.95f});
  bench("min_p 0.05", sure, {.min_p = 0.05f});
  bench("min_p 0.05, thousands of tokens", unsure, {.min_p = 0.05f});

  const auto processed = [&](const char* name, const SamplingParams& params,
                             TokenMask allowed = {}) {
    const SamplingState state(params, prompt, output);
    report(name, Time([&] { (void)sampler.Sample(sure, state, allowed); }));
  };
  processed("top_k 20, penalties over 5,120 tokens", {.temperature = 0.6f,
                                                      .top_k = 20,
                                                      .repetition_penalty = 1.1f,
                                                      .presence_penalty = 0.5f,
                                                      .frequency_penalty = 0.5f});
  processed("top_k 20, mask of a constraint", {.temperature = 0.6f, .top_k = 20}, mask);
  report("log-probabilities, top 20 (on top)", Time([&] { (void)sampler.Logprobs(sure, 5, 20); }));
}

}  // namespace
}  // namespace vallm::engine

int main() { vallm::engine::Main(); }
