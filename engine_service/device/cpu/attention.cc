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

// Nearest even, at most 448 in size; NaN stays NaN.
uint8_t ToE4m3(float x) {
  const auto sign = static_cast<uint8_t>(std::signbit(x) ? 0x80 : 0);
  if (std::isnan(x)) return sign | 0x7f;
  const float size = std::min(std::abs(x), 448.0f);
  if (size < 0x1p-6f) {  // a multiple of 2^-9; 8 of them are the least normal number
    constexpr float kToWhole = 0x1.8p23f * 0x1p-9f;  // adding it rounds to multiples of 2^-9
    return sign | static_cast<uint8_t>((size + kToWhole - kToWhole) * 0x1p9f);
  }
  const uint32_t bits = std::bit_cast<uint32_t>(size);
  const uint32_t rounded = (bits + 0x7ffff + (bits >> 20 & 1)) >> 20;  // three bits of fraction
  return sign | static_cast<uint8_t>(rounded - ((127 - 7) << 3));
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
    } else if (type == KvType::kBf16) {
      StoreRow(k, heads, slots[row], reinterpret_cast<uint16_t*>(k_cache),
               reinterpret_cast<uint16_t*>(v_cache), ToBf16);
    } else {
      StoreRow(k, heads, slots[row], reinterpret_cast<uint8_t*>(k_cache),
               reinterpret_cast<uint8_t*>(v_cache), ToE4m3);
    }
  });
}

namespace {

// A run of rows (token, query head of one KV head), numbered token by token, of one chunk; over all
// positions or, with `span` >= 0, over one span of them.
struct AttentionTask {
  int32_t chunk;
  int32_t kv_head;
  int32_t first, count;  // rows of the KV head
  int32_t span;
  int64_t partial;  // offset in CpuScratch::spans
};

// A chunk whose spans are worked on at the same time: where [kv_head][span][row] begins.
struct SplitChunk {
  int32_t chunk;
  int64_t partial;
};

struct AttentionPlan {
  std::vector<AttentionTask> tasks;
  std::vector<SplitChunk> split;
  int64_t partial_floats = 0;
};

int32_t Spans(int32_t positions) { return (positions + kAttentionSpan - 1) / kAttentionSpan; }

// Large tasks read the cache less often; there should be several per thread nevertheless. Where
// rows are too few for that, as in a decode of few long sequences, positions are split too. None
// of this changes a bit.
AttentionPlan PlanAttention(std::span<const AttentionChunk> chunks, const HeadLayout& heads,
                            int32_t max_rows, int32_t threads) {
  const int32_t group = heads.q_heads / heads.kv_heads;
  const auto count_tasks = [&](int32_t rows) {
    int64_t tasks = 0;
    for (const AttentionChunk& chunk : chunks) {
      tasks += (int64_t{chunk.row_count} * group + rows - 1) / rows * heads.kv_heads;
    }
    return tasks;
  };
  constexpr int32_t kLeastRows = 32;
  const int64_t wanted = threads == 1 ? 1 : int64_t{4} * threads;
  int32_t rows = max_rows;
  while (rows > kLeastRows && count_tasks(rows) < wanted) rows /= 2;
  const bool split = count_tasks(rows) < wanted;
  AttentionPlan plan;
  for (size_t c = 0; c < chunks.size(); ++c) {
    const AttentionChunk& chunk = chunks[c];
    const int32_t all_rows = chunk.row_count * group;
    const int32_t spans = Spans(chunk.start_position + chunk.row_count);
    const int64_t span_floats = all_rows * PartialWidth(heads.head_dim);
    if (split && spans > 1) plan.split.push_back({static_cast<int32_t>(c), plan.partial_floats});
    for (int32_t head = 0; head < heads.kv_heads; ++head) {
      for (int32_t span = split && spans > 1 ? 0 : -1; span < (split && spans > 1 ? spans : 0);
           ++span) {
        for (int32_t first = 0; first < all_rows; first += rows) {
          plan.tasks.push_back({static_cast<int32_t>(c), head, first,
                                std::min(rows, all_rows - first), span,
                                plan.partial_floats + first * PartialWidth(heads.head_dim)});
        }
        if (span >= 0) plan.partial_floats += span_floats;
      }
    }
  }
  return plan;
}

}  // namespace

void CpuAttention(CpuContext& cpu, const float* qkv, const HeadLayout& heads, KvType type,
                  std::span<const AttentionChunk> chunks, std::span<const int32_t> block_ids,
                  const std::byte* k_cache, const std::byte* v_cache, float* out) {
  const int32_t dim = heads.head_dim;
  const int32_t group = heads.q_heads / heads.kv_heads;
  int64_t work = 0;
  for (const AttentionChunk& chunk : chunks) {
    work += int64_t{chunk.row_count} * heads.q_heads * dim * 2 *
            (chunk.start_position + chunk.row_count);
  }
  const bool parallel = work > kParallelWork;
  const AttentionPlan plan =
      PlanAttention(chunks, heads, cpu.kernels.attention_rows, parallel ? cpu.pool.threads() : 1);
  CpuScratch& scratch = cpu.scratch;
  if (static_cast<int64_t>(scratch.spans.size()) < plan.partial_floats) {
    scratch.spans.resize(plan.partial_floats);
  }
  const int64_t scratch_bytes = cpu.kernels.attention_scratch_bytes(dim);
  const auto row_out = [&](const AttentionChunk& chunk, int32_t kv_head, int64_t i) {
    const int64_t row = chunk.row_begin + i / group;
    return out + (row * heads.q_heads + kv_head * group + i % group) * dim;
  };

  cpu.pool.Run(static_cast<int64_t>(plan.tasks.size()), parallel, [&](int64_t t, int32_t thread) {
    const AttentionTask& task = plan.tasks[t];
    const AttentionChunk& chunk = chunks[task.chunk];
    AttentionRows rows;
    rows.rows = task.count;
    for (int32_t i = 0; i < task.count; ++i) {
      const int64_t token = (task.first + i) / group;
      const int64_t head = task.kv_head * group + (task.first + i) % group;
      rows.q[i] = qkv + (chunk.row_begin + token) * heads.row_width() + head * dim;
      rows.out[i] = row_out(chunk, task.kv_head, task.first + i);
      rows.visible[i] = chunk.start_position + static_cast<int32_t>(token) + 1;
    }
    const int64_t page = int64_t{kKvBlockSize} * dim;
    rows.blocks = block_ids.data() + chunk.block_begin;
    rows.k = k_cache + task.kv_head * page * KvElementBytes(type);
    rows.v = v_cache + task.kv_head * page * KvElementBytes(type);
    rows.element_bytes = static_cast<int32_t>(KvElementBytes(type));
    rows.block_stride = heads.kv_heads * page;
    rows.head_dim = dim;
    rows.scale = 1.0f / std::sqrt(static_cast<float>(dim));
    rows.partial = task.span < 0 ? nullptr : scratch.spans.data() + task.partial;
    rows.span_begin = std::max(task.span, 0) * kAttentionSpan;
    scratch.threads[thread].Reserve(scratch_bytes);
    rows.scratch = scratch.threads[thread].data();
    cpu.kernels.attend(rows);
  });

  for (const SplitChunk& split : plan.split) {
    const AttentionChunk& chunk = chunks[split.chunk];
    const int64_t all_rows = int64_t{chunk.row_count} * group;
    const int64_t span_floats = all_rows * PartialWidth(dim);
    const int32_t spans = Spans(chunk.start_position + chunk.row_count);
    const int64_t joins = heads.kv_heads * all_rows;
    cpu.pool.Run(joins, joins * spans * dim * 4 > kParallelWork, [&](int64_t i, int32_t) {
      const int64_t head = i / all_rows, row = i % all_rows;
      const int32_t visible = chunk.start_position + static_cast<int32_t>(row / group) + 1;
      const float* partial = scratch.spans.data() + split.partial + head * spans * span_floats +
                             row * PartialWidth(dim);
      cpu.kernels.join_spans(partial, span_floats, Spans(visible), dim,
                             row_out(chunk, static_cast<int32_t>(head), row));
    });
  }
}

}  // namespace vallm::engine
