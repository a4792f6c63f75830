// Qwen3, dense and mixture of experts: one rank's weights and the forward pass.
//
// The pass is written once over Device; it knows no instruction set and no thread. Every rank of a
// group runs the same step; they meet in Collective::AllReduceSum twice per layer. A token's logits
// depend on the tokens before it alone: not on the batch, the chunking or the number of ranks
// (docs/packed-weights.md; pinned by tests/conformance/golden_models_test.cc).
//
// Not thread-safe. The device must outlive the model; the checkpoint is needed only by Load.
#ifndef VALLM_ENGINE_SERVICE_MODEL_QWEN3_H_
#define VALLM_ENGINE_SERVICE_MODEL_QWEN3_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/device/collective.h"
#include "engine_service/device/device.h"
#include "engine_service/model/checkpoint.h"
#include "engine_service/model/config.h"
#include "engine_service/model/kv_cache.h"
#include "engine_service/model/qwen3_weights.h"
#include "engine_service/model/rope.h"
#include "engine_service/model/sharding.h"
#include "engine_service/model/step.h"

namespace vallm::engine {

// The largest step a model is asked to run; its workspace is sized once from them.
struct StepLimits {
  int64_t max_tokens = 512;      // tokens of all chunks together
  int64_t max_logit_rows = 512;  // LogitRows(step)
};

// Bytes of the checkpoint's tensors that this rank is done with, of all. Called on the loading
// thread after each tensor, never decreasing, at the end with done == total.
using LoadProgress = std::function<void(int64_t done_bytes, int64_t total_bytes)>;

class Qwen3Model {
 public:
  // Packs this rank's slices of the weights onto `device`. `progress` may be null.
  // Errors: INVALID_ARGUMENT (limits below 1, a tensor with the wrong shape, dtype or missing
  // scale; as MakeShard), NOT_FOUND (a tensor is missing), RESOURCE_EXHAUSTED (device memory).
  static absl::StatusOr<std::unique_ptr<Qwen3Model>> Load(const ModelConfig& config,
                                                          const Checkpoint& checkpoint,
                                                          ShardSpec spec, StepLimits limits,
                                                          Device& device,
                                                          const LoadProgress& progress);
  ~Qwen3Model();
  Qwen3Model(const Qwen3Model&) = delete;
  Qwen3Model& operator=(const Qwen3Model&) = delete;

  // Runs one step and writes the keys and values of its tokens to `cache`.
  // logits: [LogitRows(step), vocab_end() - vocab_begin()] f32, this rank's columns of the
  // config.vocab_size in all; rows in the order of LogitRows.
  // REQUIRES: chunks write to different blocks; and, CHECKed: the step is within the limits; ids
  // are below vocab_size; chunks follow one another and fill the step; block tables cover the
  // positions and name blocks of the cache; the collective has this shard's rank and size; `logits`
  // has exactly that size. Errors: those of the device and the collective. The cache is then in an
  // unknown state.
  absl::Status Forward(const Step& step, KvCache& cache, Collective& collective,
                       std::span<float> logits);

  const ModelConfig& config() const { return config_; }
  int64_t vocab_begin() const { return shard_.vocab.begin; }
  int64_t vocab_end() const { return shard_.vocab.end; }

 private:
  struct Workspace;
  struct Inputs;
  Qwen3Model(const ModelConfig& config, const Shard& shard, StepLimits limits, Device& device);

  absl::Status Attend(const Inputs& in, int32_t layer, KvCache& cache, Collective& collective);
  absl::Status FeedForward(const Inputs& in, int32_t layer, Collective& collective);
  absl::Status Head(const Inputs& in, std::span<float> logits);

  const ModelConfig config_;
  const Shard shard_;
  const StepLimits limits_;
  Device& device_;
  const Rope rope_;
  Qwen3Weights weights_;
  std::unique_ptr<Workspace> work_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_QWEN3_H_
