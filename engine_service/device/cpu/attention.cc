// Attention: head norms and rotation, cache writes, and the walk over the cache, whose tasks are
// groups of rows (tokens times the query heads of one KV head).
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine_service/device/cpu/cpu_ops.h"

namespace vallm::engine {
namespace {

// Nearest even; values here are finite or already broken.
uint16_t ToBf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Writes one row's keys, which its values follow, to a slot.
template <typename Kv, typename Round>
void StoreRow(const float* k, const HeadLayout& heads, int32_t slot, Kv* k_cache, Kv* v_cache,
              Round round) {
  const int64_t dim = heads.head_dim;
  const float* v = k + heads.kv_heads * dim;
  const int64_t block = slot / kKvBlockSize;
  const int64_t offset = slot % kKvBlockSize;
  for (int64_t h = 0; h < heads.kv_heads; ++h) {
    const int64_t page = (block * heads.kv_heads + h) * kKvBlockSize * dim;
    for (int64_t d = 0; d < dim; ++d) {
      k_cache[page + d * kKvBlockSize + offset] = round(k[h * dim + d]);
      v_cache[page + offset * dim + d] = round(v[h * dim + d]);
    }
  }
}

}  // namespace

void CpuNormRopeHeads(CpuContext& cpu, float* qkv, int64_t rows, const HeadLayout& heads,
                      const float* q_weight, const float* k_weight, float eps,
                      const float* cos_sin) {
  const int32_t count = heads.q_heads + heads.kv_heads;
  const bool parallel = rows * count * heads.head_dim * 8 > kParallelWork;
  cpu.pool.Run(rows, parallel, [&](int64_t row, int32_t) {
    for (int32_t h = 0; h < count; ++h) {
      float* head = qkv + row * heads.row_width() + int64_t{h} * heads.head_dim;
      const float* weight = h < heads.q_heads ? q_weight : k_weight;
      cpu.kernels.rms_norm(head, weight, eps, heads.head_dim, head);
      cpu.kernels.rope(head, cos_sin + row * heads.head_dim, heads.head_dim);
    }
  });
}

void CpuStoreKv(CpuContext& cpu, const float* qkv, const HeadLayout& heads, KvType type,
                std::span<const int32_t> slots, std::byte* k_cache, std::byte* v_cache) {
  const int64_t rows = static_cast<int64_t>(slots.size());
  const bool parallel = rows * heads.kv_heads * heads.head_dim * 8 > kParallelWork;
  cpu.pool.Run(rows, parallel, [&](int64_t row, int32_t) {
    const float* k = qkv + row * heads.row_width() + int64_t{heads.q_heads} * heads.head_dim;
    if (type == KvType::kF32) {
      StoreRow(k, heads, slots[row], reinterpret_cast<float*>(k_cache),
               reinterpret_cast<float*>(v_cache), [](float x) { return x; });
    } else {
      StoreRow(k, heads, slots[row], reinterpret_cast<uint16_t*>(k_cache),
               reinterpret_cast<uint16_t*>(v_cache), ToBf16);
    }
  });
}

void CpuAttention(CpuContext& cpu, const float* qkv, const HeadLayout& heads, KvType type,
                  std::span<const AttentionChunk> chunks, std::span<const int32_t> block_ids,
                  const std::byte* k_cache, const std::byte* v_cache, float* out) {
  const int32_t dim = heads.head_dim;
  const int32_t group = heads.q_heads / heads.kv_heads;
  // Tasks of all chunks, numbered one chunk after the other.
  std::vector<int64_t> task_end;
  int64_t tasks = 0, work = 0;
  for (const AttentionChunk& chunk : chunks) {
    const int64_t runs =
        (int64_t{chunk.row_count} * group + kMaxAttentionRows - 1) / kMaxAttentionRows;
    tasks += runs * heads.kv_heads;
    task_end.push_back(tasks);
    work += int64_t{chunk.row_count} * heads.q_heads * dim * 2 *
            (chunk.start_position + chunk.row_count);
  }
  cpu.pool.Run(tasks, work > kParallelWork, [&](int64_t task, int32_t) {
    const size_t c = std::upper_bound(task_end.begin(), task_end.end(), task) - task_end.begin();
    const AttentionChunk& chunk = chunks[c];
    const int64_t local = task - (c == 0 ? 0 : task_end[c - 1]);
    const int64_t kv_head = local % heads.kv_heads;
    const int64_t first = local / heads.kv_heads * kMaxAttentionRows;
    const int64_t end = std::min(first + kMaxAttentionRows, int64_t{chunk.row_count} * group);
    AttentionRows rows = {};
    rows.rows = static_cast<int32_t>(end - first);
    for (int64_t i = first; i < end; ++i) {
      const int64_t token = i / group;
      const int64_t head = kv_head * group + i % group;
      const int64_t row = chunk.row_begin + token;
      rows.q[i - first] = qkv + row * heads.row_width() + head * dim;
      rows.out[i - first] = out + (row * heads.q_heads + head) * dim;
      rows.visible[i - first] = chunk.start_position + static_cast<int32_t>(token) + 1;
    }
    const int64_t page = int64_t{kKvBlockSize} * dim;
    rows.blocks = block_ids.data() + chunk.block_begin;
    rows.k = k_cache + kv_head * page * KvElementBytes(type);
    rows.v = v_cache + kv_head * page * KvElementBytes(type);
    rows.f32 = type == KvType::kF32;
    rows.block_stride = heads.kv_heads * page;
    rows.head_dim = dim;
    rows.scale = 1.0f / std::sqrt(static_cast<float>(dim));
    cpu.kernels.attend(rows);
  });
}

}  // namespace vallm::engine
