// One rank's paged key/value cache: num_blocks blocks of 16 positions for every layer.
//
// bf16 halves memory and traffic and e4m3 quarters them; f32 keeps what was computed, and with it
// the logits of the f32 reference to about 5e-5 (bf16: a few 1e-2, and near-ties between experts
// may fall differently; e4m3: a few 1e-1).
//
// It is memory and no more: which block belongs to which sequence is the scheduler's business.
// Contents are those of Qwen3Model::Forward; zero at first. Not thread-safe.
#ifndef VALLM_ENGINE_SERVICE_MODEL_KV_CACHE_H_
#define VALLM_ENGINE_SERVICE_MODEL_KV_CACHE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/device/device.h"
#include "engine_service/model/config.h"
#include "engine_service/model/sharding.h"

namespace vallm::engine {

class KvCache {
 public:
  // Blocks have ids 0 .. num_blocks - 1. `device` must outlive the cache.
  // Errors: INVALID_ARGUMENT (num_blocks < 1, block_size other than kKvBlockSize, as MakeShard),
  // RESOURCE_EXHAUSTED (device memory), UNIMPLEMENTED (the device has no cache of that type).
  static absl::StatusOr<std::unique_ptr<KvCache>> Create(Device& device, const ModelConfig& config,
                                                         ShardSpec spec, int64_t num_blocks,
                                                         int32_t block_size = kKvBlockSize,
                                                         KvType type = KvType::kF32);

  // Device memory of one block of all layers on one rank, K and V. Errors: as MakeShard,
  // UNIMPLEMENTED (the device has no cache of that type).
  static absl::StatusOr<int64_t> BytesPerBlock(const DeviceKind& kind, const ModelConfig& config,
                                               ShardSpec spec, KvType type = KvType::kF32);

  int64_t num_blocks() const { return num_blocks_; }
  int32_t block_size() const { return kKvBlockSize; }
  KvType type() const { return type_; }
  Buffer& k(int32_t layer) { return *layers_[layer].k; }
  Buffer& v(int32_t layer) { return *layers_[layer].v; }

 private:
  struct Layer {
    std::unique_ptr<Buffer> k, v;
  };
  KvCache(int64_t num_blocks, KvType type) : num_blocks_(num_blocks), type_(type) {}

  const int64_t num_blocks_;
  const KvType type_;
  std::vector<Layer> layers_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_KV_CACHE_H_
