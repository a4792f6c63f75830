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
#include "engine_service/model/sharding.h"
#include "engine_service/model/step.h"

namespace vallm::engine {

// The largest step a model is asked to run; its workspace is sized once from them.
struct StepLimits {
  int64_t max_tokens = 512;      // tokens of all chunks together
  int64_t max_logit_rows = 512;  // LogitRows(step)
};

// Bytes of the checkpoint that this rank has packed and will have packed in all. Called on the
// loading thread, ending with done == total.
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
  // REQUIRES (CHECKed): the step is within the limits; ids are below vocab_size; block tables cover
  // the positions and name blocks of the cache; chunks write to different blocks; the cache and the
  // collective belong to the same shard; `logits` has exactly that size.
  // Errors: those of the device and the collective. The cache is then in an unknown state.
  absl::Status Forward(const Step& step, KvCache& cache, Collective& collective,
                       std::span<float> logits);

  const ModelConfig& config() const;
  int64_t vocab_begin() const;
  int64_t vocab_end() const;

 private:
  struct Layer;
  struct Workspace;
  struct State;
  explicit Qwen3Model(std::unique_ptr<State> state);

  absl::Status Attend(const Layer& layer, int32_t index, const Step& step, KvCache& cache,
                      Collective& collective);
  absl::Status FeedForward(const Layer& layer, int64_t rows, Collective& collective);

  std::unique_ptr<State> state_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_QWEN3_H_
