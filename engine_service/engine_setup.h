// Everything an engine decides before it starts its workers, from its options and the model
// directory.
#ifndef VALLM_ENGINE_SERVICE_ENGINE_SETUP_H_
#define VALLM_ENGINE_SERVICE_ENGINE_SETUP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/engine_options.h"
#include "engine_service/executor/worker_group.h"
#include "engine_service/sampling/params.h"
#include "engine_service/scheduler/scheduler.h"

namespace vallm::engine {

// What an engine serves. Constant while it runs.
struct ModelInfo {
  std::string model_path;
  std::string architecture;
  int32_t vocab_size = 0;
  int32_t max_model_len = 0;
  int32_t max_input_len = 0;
  int32_t max_batch_size = 0;
  int32_t max_queue_size = 0;
  std::vector<int32_t> eos_ids;
  SamplingParams default_sampling;  // its seed means nothing
  int32_t tensor_parallel_size = 0;
  std::string device;
  int64_t kv_cache_tokens = 0;
  std::string fingerprint;
};

struct EngineSetup {
  ModelInfo info;
  SchedulerOptions scheduler;
  WorkerGroupOptions group;           // on_death is left to the engine
  int32_t sampling_threads = 1;       // >= 1
  std::vector<std::string> warnings;  // worth a line in the log
  // What is served, line by line: model, tensors, how ranks cut them, KV pool (model/summary.h).
  std::vector<std::string> description;
};

// Errors: those of the configuration and the checkpoint's headers, INVALID_ARGUMENT (options out of
// range, limits.h, a sharding the model does not allow, a KV pool that holds no block),
// those of PlanDevice, NOT_FOUND (no vallm-worker).
absl::StatusOr<EngineSetup> PrepareEngine(const EngineOptions& options);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_ENGINE_SETUP_H_
