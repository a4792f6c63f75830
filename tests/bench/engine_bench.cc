// What the engine adds around its model: engine_bench prefix|overhead MODEL_DIR WORKER_BINARY
//
//   prefix    time to the first token of a chat of about 3,900 tokens, of its second turn, and
//   their
//             ratio, on the model itself
//   overhead  percentiles of the host's time per step, scheduling and sampling apart, with the mock
//             device, a vocabulary of 151,936 and 64 clients on 4 and on 64 places
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "engine_service/engine.h"
#include "nlohmann/json.hpp"

namespace vallm::engine {
namespace {

constexpr int kRounds = 5;
constexpr int kClients = 64;
constexpr int kRequests = 256;

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
  std::exit(1);
}

std::unique_ptr<Engine> Serving(const EngineOptions& options) {
  auto engine = OrDie(Engine::Create(options));
  if (const absl::Status status = engine->WaitUntilServing(); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    std::exit(1);
  }
  return engine;
}

std::vector<int32_t> RandomIds(std::mt19937& random, int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(random() % 6000));
  return ids;
}

GenerationRequest RequestOf(std::vector<int32_t> prompt_ids, int32_t max_tokens) {
  GenerationRequest request;
  request.prompt_ids = std::move(prompt_ids);
  request.sampling.temperature = 0.0f;
  request.max_tokens = max_tokens;
  request.ignore_eos = true;
  return request;
}

void MeasurePrefix(const EngineOptions& options) {
  const auto engine = Serving(options);
  std::mt19937 random(1);
  std::vector<double> ratios;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<int32_t> chat = RandomIds(random, 3840);
    const Generation first = OrDie(engine->Generate(RequestOf(chat, 64)));
    chat.insert(chat.end(), first.tokens.token_ids.begin(), first.tokens.token_ids.end());
    const std::vector<int32_t> question = RandomIds(random, 50);
    chat.insert(chat.end(), question.begin(), question.end());
    const Generation second = OrDie(engine->Generate(RequestOf(chat, 16)));
    const Usage& before = first.completion.usage;
    const Usage& after = second.completion.usage;
    ratios.push_back(absl::FDivDuration(after.prefill_time, before.prefill_time));
    std::printf("turn 1: %d tokens, %d cached, first token after %.1f ms; ", before.prompt_tokens,
                before.cached_tokens, absl::ToDoubleMilliseconds(before.prefill_time));
    std::printf("turn 2: %d tokens, %d cached, %.1f ms = %.1f %%\n", after.prompt_tokens,
                after.cached_tokens, absl::ToDoubleMilliseconds(after.prefill_time),
                100 * ratios.back());
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("median: %.1f %%\n", 100 * ratios[ratios.size() / 2]);
}

void PrintPercentiles(const char* name, std::vector<double> microseconds) {
  std::sort(microseconds.begin(), microseconds.end());
  const auto at = [&](double share) {
    return microseconds[static_cast<size_t>(share * static_cast<double>(microseconds.size() - 1))];
  };
  std::printf("  %-10s p50 %7.1f  p90 %7.1f  p99 %7.1f  max %7.1f us over %zu steps\n", name,
              at(.5), at(.9), at(.99), at(1), microseconds.size());
}

void MeasureOverhead(EngineOptions options, int32_t places) {
  options.max_batch_size = places;
  options.max_queue_size = kClients - places;
  options.max_num_batched_tokens = std::max(512, 2 * places);
  options.num_kv_blocks = places * 40;  // less than all of them want: some are preempted
  options.mock_step_time = absl::Milliseconds(5);
  const auto engine = Serving(options);
  std::vector<double> schedule, sampling;
  Mutex mu;
  engine->SetStepListener([&](const StepStats& step) {
    MutexLock lock(mu);
    schedule.push_back(absl::ToDoubleMicroseconds(step.schedule_time));
    sampling.push_back(absl::ToDoubleMicroseconds(step.sampling_time));
  });
  std::mt19937 random(1);
  const std::vector<int32_t> common = RandomIds(random, 512);
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < kRequests; ++i) {
    std::vector<int32_t> prompt;
    if (i % 2 == 0) prompt = common;
    const std::vector<int32_t> own = RandomIds(random, static_cast<int>(1 + random() % 512));
    prompt.insert(prompt.end(), own.begin(), own.end());
    requests.push_back(RequestOf(std::move(prompt), static_cast<int32_t>(1 + random() % 128)));
  }
  for (auto& answer : engine->GenerateAll(std::move(requests))) {
    const absl::Status status = OrDie(std::move(answer)).completion.status;
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  }
  engine->SetStepListener(nullptr);
  const EngineLoad load = engine->load();
  std::printf("%d places, %lld tokens found in the cache, %lld preemptions\n", places,
              static_cast<long long>(load.counters.prefix_hit_tokens),
              static_cast<long long>(load.counters.preemptions));
  PrintPercentiles("schedule", schedule);
  PrintPercentiles("sampling", sampling);
}

// The model's configuration with the vocabulary of the large ones.
std::string MockModelDir(const std::string& model_dir) {
  const auto dir = std::filesystem::temp_directory_path() /
                   absl::StrCat("engine_bench-", static_cast<int64_t>(getpid()));
  std::filesystem::create_directories(dir);
  auto config = nlohmann::json::parse(std::ifstream(model_dir + "/config.json"));
  config["vocab_size"] = 151936;
  std::ofstream(dir / "config.json") << config;
  return dir.string();
}

}  // namespace
}  // namespace vallm::engine

int main(int argc, char** argv) {
  const std::string what = argc == 4 ? argv[1] : "";
  if (what != "prefix" && what != "overhead") {
    std::fprintf(stderr, "usage: engine_bench prefix|overhead MODEL_DIR WORKER_BINARY\n");
    return 2;
  }
  vallm::engine::EngineOptions options;
  options.model_dir = argv[2];
  options.worker_binary = argv[3];
  if (what == "prefix") {
    vallm::engine::MeasurePrefix(options);
    return 0;
  }
  options.device = "mock";
  options.model_dir = vallm::engine::MockModelDir(argv[2]);
  for (const int32_t places : {4, 64}) vallm::engine::MeasureOverhead(options, places);
  std::filesystem::remove_all(options.model_dir);
  return 0;
}
