#include "engine_service/model/kv_cache.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

absl::Status CheckSupported(int64_t bytes, const HeadLayout& heads) {
  if (bytes >= 0) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat(
      "the device keeps no KV cache of this type for ", heads.q_heads, " query and ",
      heads.kv_heads, " KV heads of ", heads.head_dim, ": choose another --kv-cache-dtype"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<KvCache>> KvCache::Create(Device& device, const ModelConfig& config,
                                                         ShardSpec spec, int64_t num_blocks,
                                                         int32_t block_size, KvType type) {
  VALLM_ASSIGN_OR_RETURN(const Shard shard, MakeShard(config, spec));
  // Slots (block * 16 + offset) are 32 bits wide.
  constexpr int64_t kMaxBlocks = INT32_MAX / kKvBlockSize;
  if (num_blocks < 1 || num_blocks > kMaxBlocks) {
    return absl::InvalidArgumentError(
        absl::StrCat("kv cache of ", num_blocks, " blocks; want 1 to ", kMaxBlocks));
  }
  if (block_size != kKvBlockSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("kv cache block size is ", block_size, "; it must be ", kKvBlockSize));
  }
  std::unique_ptr<KvCache> cache(new KvCache(num_blocks, type));
  const int64_t bytes = device.KvBytes(shard.heads, type, num_blocks);
  VALLM_RETURN_IF_ERROR(CheckSupported(bytes, shard.heads));
  for (int32_t i = 0; i < config.num_layers; ++i) {
    Layer layer;
    VALLM_ASSIGN_OR_RETURN(layer.k, device.Allocate(bytes));
    VALLM_ASSIGN_OR_RETURN(layer.v, device.Allocate(bytes));
    cache->layers_.push_back(std::move(layer));
  }
  return cache;
}

absl::StatusOr<int64_t> KvCache::BytesPerBlock(const DeviceKind& kind, const ModelConfig& config,
                                               ShardSpec spec, KvType type) {
  VALLM_ASSIGN_OR_RETURN(const Shard shard, MakeShard(config, spec));
  const int64_t bytes = kind.KvBytes(shard.heads, type, /*num_blocks=*/1);
  VALLM_RETURN_IF_ERROR(CheckSupported(bytes, shard.heads));
  return bytes * 2 * config.num_layers;
}

}  // namespace vallm::engine
