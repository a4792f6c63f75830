// How a model is cut over the ranks of a tensor-parallel group. Pure arithmetic.
//
//   q, k, v      by heads; KV heads are replicated when there are more ranks than KV heads
//   gate, up     by rows (intermediate features)
//   o, down      by columns: a rank owns 8 / size of the 8 K groups whose partial sums are joined
//                by a fixed tree (docs/packed-weights.md). One of 16 ranks owns half a group, a
//                tree with one more level: TP 16 has bits of its own
//   lm_head      by rows (vocabulary)
//   embedding, norms, router: on every rank
//
// Cuts need not respect quantisation blocks: scales are looked up by global row and column.
#ifndef VALLM_ENGINE_SERVICE_MODEL_SHARDING_H_
#define VALLM_ENGINE_SERVICE_MODEL_SHARDING_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/device/device.h"
#include "engine_service/model/config.h"

namespace vallm::engine {

// K groups of every matrix whose input features are sharded. A power of two; up to that many ranks
// the bits do not depend on their number.
inline constexpr int32_t kReductionGroups = 8;
inline constexpr int32_t kMaxTensorParallelSize = 16;

struct ShardSpec {
  int32_t rank = 0;
  int32_t size = 1;  // 1, 2, 4, 8 or 16
};

// [begin, end)
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

// One rank's part of a model.
struct Shard {
  ShardSpec spec;
  HeadLayout heads;  // of this rank
  Range q_rows;      // rows of q_proj, columns of o_proj
  Range kv_rows;     // rows of k_proj and v_proj
  Range dense_rows;  // rows of dense gate and up, columns of down
  Range moe_rows;    // the same for each expert; empty without experts
  Range vocab;       // rows of the lm_head
  int32_t k_groups;  // of o_proj and down: kReductionGroups / spec.size, at least 1
};

// Errors: INVALID_ARGUMENT (a size other than 1, 2, 4, 8, 16; rank out of range; heads, KV heads,
// intermediate sizes or head width that cannot be cut that way).
absl::StatusOr<Shard> MakeShard(const ModelConfig& config, ShardSpec spec);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_SHARDING_H_
