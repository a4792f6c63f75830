// One rank's weights of a Qwen3 model on a device: which tensors, under which names, cut how.
#ifndef VALLM_ENGINE_SERVICE_MODEL_QWEN3_WEIGHTS_H_
#define VALLM_ENGINE_SERVICE_MODEL_QWEN3_WEIGHTS_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/device/device.h"
#include "engine_service/model/checkpoint.h"
#include "engine_service/model/config.h"
#include "engine_service/model/sharding.h"
#include "engine_service/model/weight_loader.h"

namespace vallm::engine {

struct Qwen3Layer {
  std::unique_ptr<Buffer> input_norm;           // f32 [hidden]
  std::unique_ptr<Buffer> q_norm, k_norm;       // f32 [head_dim]
  std::unique_ptr<Buffer> post_attention_norm;  // f32 [hidden]
  std::unique_ptr<PackedMatrix> qkv;            // [heads.row_width(), hidden]
  std::unique_ptr<PackedMatrix> o;              // [hidden, q_heads * head_dim], K groups
  // Sparse layers.
  std::unique_ptr<PackedMatrix> router;  // [experts, hidden]
  std::unique_ptr<PackedExperts> experts;
  // Dense layers.
  std::unique_ptr<PackedMatrix> gate_up;  // [2 * dense_rows, hidden]
  std::unique_ptr<PackedMatrix> down;     // [hidden, dense_rows], K groups
};

struct Qwen3Weights {
  std::unique_ptr<Buffer> embedding;  // [vocab, hidden] of …
  WeightType embedding_type = WeightType::kBf16;
  std::vector<Qwen3Layer> layers;
  std::unique_ptr<Buffer> final_norm;     // f32 [hidden]
  std::unique_ptr<PackedMatrix> lm_head;  // [vocab of this rank, hidden]
};

// Errors: as Qwen3Model::Load.
absl::StatusOr<Qwen3Weights> LoadQwen3Weights(const ModelConfig& config, const Shard& shard,
                                              const Checkpoint& checkpoint, Device& device,
                                              const WeightLoader::Progress& progress);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_QWEN3_WEIGHTS_H_
