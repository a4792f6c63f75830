// An engine on the demo model, with real worker processes, for tests.
#ifndef VALLM_TESTS_INTEGRATION_ENGINE_SERVICE_DEMO_ENGINE_H_
#define VALLM_TESTS_INTEGRATION_ENGINE_SERVICE_DEMO_ENGINE_H_

#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine_service/engine.h"
#include "nlohmann/json.hpp"

namespace vallm::engine {

inline constexpr char kDemoModel[] = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";

inline EngineOptions DemoOptions(int32_t tensor_parallel_size) {
  EngineOptions options;
  options.model_dir = kDemoModel;
  options.tensor_parallel_size = tensor_parallel_size;
  options.worker_binary = VALLM_BIN_DIR "/vallm-worker";
  return options;
}

// Serving, or the test dies.
inline std::unique_ptr<Engine> ServingEngine(const EngineOptions& options) {
  auto engine = Engine::Create(options);
  if (!engine.ok()) throw std::runtime_error(engine.status().ToString());
  const absl::Status status = (*engine)->WaitUntilServing();
  if (!status.ok()) throw std::runtime_error(status.ToString());
  return *std::move(engine);
}

// A prompt of tools/demo_model/golden.json with its greedy continuation.
struct GoldenPrompt {
  std::string name;
  std::vector<int32_t> prompt_ids;
  std::vector<int32_t> continuation_ids;
  std::vector<double> margins;                                      // per step, top1 - top2
  std::vector<std::vector<std::pair<int32_t, double>>> steps_top5;  // logprobs, best first
};

inline std::vector<GoldenPrompt> GoldenPrompts() {
  std::ifstream file(VALLM_SOURCE_DIR "/tools/demo_model/golden.json");
  if (!file) throw std::runtime_error("no golden.json");
  std::vector<GoldenPrompt> prompts;
  for (const auto& row : nlohmann::json::parse(file)) {
    GoldenPrompt prompt{.name = row["name"],
                        .prompt_ids = row["prompt_ids"],
                        .continuation_ids = row["continuation_ids"],
                        .margins = row["margins"],
                        .steps_top5 = {}};
    for (const auto& step : row["steps_top5"]) {
      prompt.steps_top5.push_back(step.get<std::vector<std::pair<int32_t, double>>>());
    }
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

}  // namespace vallm::engine

#endif  // VALLM_TESTS_INTEGRATION_ENGINE_SERVICE_DEMO_ENGINE_H_
