// One rank's model: its shard of the weights, its KV cache, its device. Runs steps.
//
// Not thread-safe. No processes and no shared memory here but the Collective it is given.
#ifndef VALLM_ENGINE_SERVICE_WORKER_MODEL_RUNNER_H_
#define VALLM_ENGINE_SERVICE_WORKER_MODEL_RUNNER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine_service/device/collective.h"
#include "engine_service/device/device.h"
#include "engine_service/model/config.h"
#include "engine_service/model/kv_cache.h"
#include "engine_service/model/qwen3.h"
#include "engine_service/model/step.h"
#include "engine_service/worker/step_runner.h"

namespace vallm::engine {

struct ModelRunnerOptions {
  std::string model_dir;
  std::string rope_scaling_json;  // replaces config.json's; empty: keep it
  std::string device = "cpu";
  std::string cpu_isa = "auto";  // as DeviceOptions
  int32_t threads = 1;
  std::vector<int32_t> dies = {};  // of every rank, if the device has dies
  int64_t num_kv_blocks = 0;
  std::string kv_cache_dtype = "auto";  // as KvTypeByName
  ShardSpec shard;
  StepLimits limits;
};

// How long the parts of loading took.
struct LoadTimes {
  absl::Duration open;      // configuration and headers of the checkpoint
  absl::Duration weights;   // reading, unpacking and packing them onto the device
  absl::Duration kv_cache;  // allocating it
};

class ModelRunner final : public StepRunner {
 public:
  // Loads the shard. `progress` as in Qwen3Model::Load. Errors: those of configuration, checkpoint,
  // device, model and cache.
  static absl::StatusOr<std::unique_ptr<ModelRunner>> Load(const ModelRunnerOptions& options,
                                                           const LoadProgress& progress);

  const LoadTimes& load_times() const { return load_times_; }

  int64_t vocab_size() const override { return model_->config().vocab_size; }

  // Errors: those of Qwen3Model::Forward.
  absl::Status Run(const Step& step, Collective& collective, std::span<float> logits) override;

 private:
  ModelRunner() = default;

  LoadTimes load_times_;
  // In this order: model and cache must not outlive the device.
  std::unique_ptr<Device> device_;
  std::unique_ptr<Qwen3Model> model_;
  std::unique_ptr<KvCache> cache_;
  std::vector<float> slice_;  // [max_logit_rows, columns of this rank]; empty for one rank
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_WORKER_MODEL_RUNNER_H_
