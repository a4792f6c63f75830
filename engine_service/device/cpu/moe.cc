// Mixture of experts: routing, then the chosen experts with tokens grouped by expert.
//
//   1. pairs (row, choice) are sorted by expert and cut into panels within each expert
//   2. gate and up of every panel, one task per (panel's expert, run of tiles)
//   3. silu(gate) * up, written interleaved for the last product
//   4. down: a task owns a run of output features for all rows and walks the experts in ascending
//      order, so that a row's sum over its experts has one order whatever else is in the batch
#include <algorithm>
#include <numeric>

#include "engine_service/device/cpu/cpu_ops.h"

namespace vallm::engine {
namespace {

constexpr int32_t kRunWidth = kTilesPerRun * kTileWidth;

// An expert that some row chose: its pairs in CpuScratch::pair_order and its panels, which are the
// same rows in CpuScratch::panels and CpuScratch::gated.
struct ActiveExpert {
  const TileExpert& weights;
  int32_t pair_begin;
  int32_t panel_begin;
  int32_t panel_end;
};

void Grow(std::vector<float>& buffer, int64_t size) {
  if (static_cast<int64_t>(buffer.size()) < size) buffer.resize(size);
}

// Sorts pairs by expert, rows ascending within one, and cuts them into panels.
std::vector<ActiveExpert> GroupByExpert(CpuContext& cpu, const int32_t* ids, int64_t pairs,
                                        std::span<const TileExpert> experts) {
  CpuScratch& s = cpu.scratch;
  s.expert_begin.assign(experts.size() + 1, 0);
  for (int64_t p = 0; p < pairs; ++p) ++s.expert_begin[ids[p] + 1];
  std::partial_sum(s.expert_begin.begin(), s.expert_begin.end(), s.expert_begin.begin());
  s.pair_order.resize(pairs);
  std::vector<int32_t> next(s.expert_begin.begin(), s.expert_begin.end() - 1);
  for (int64_t p = 0; p < pairs; ++p) s.pair_order[next[ids[p]]++] = static_cast<int32_t>(p);
  s.panels.Clear();
  s.gated.Clear();
  std::vector<ActiveExpert> active;
  for (size_t e = 0; e < experts.size(); ++e) {
    const int32_t begin = s.expert_begin[e], end = s.expert_begin[e + 1];
    if (begin == end) continue;
    const auto first = static_cast<int32_t>(s.panels.count());
    s.panels.Cut(cpu.kernels, experts[e].gate_up.view(), begin, end);
    s.gated.Cut(cpu.kernels, experts[e].down.view(), begin, end);
    active.push_back({experts[e], begin, first, static_cast<int32_t>(s.panels.count())});
  }
  s.panels.Place();
  s.gated.Place();
  return active;
}

}  // namespace

void CpuMoeRoute(CpuContext& cpu, const float* logits, int64_t rows, int32_t experts, int32_t top_k,
                 bool normalize, int32_t* ids, float* weights) {
  std::vector<float> p(experts);
  for (int64_t row = 0; row < rows; ++row) {
    const float* x = logits + row * experts;
    cpu.kernels.exp_shifted(x, *std::max_element(x, x + experts), experts, p.data());
    float total = 0;
    for (const float value : p) total += value;
    int32_t* row_ids = ids + row * top_k;
    float* row_weights = weights + row * top_k;
    float chosen = 0;
    for (int32_t j = 0; j < top_k; ++j) {
      // max_element keeps the first of equals: ties go to the lower expert.
      const auto best = std::max_element(p.begin(), p.end());
      row_ids[j] = static_cast<int32_t>(best - p.begin());
      row_weights[j] = *best / total;
      chosen += row_weights[j];
      *best = -1;  // below every probability
    }
    if (!normalize) continue;
    for (int32_t j = 0; j < top_k; ++j) row_weights[j] /= chosen;
  }
}

void CpuMoeExperts(CpuContext& cpu, const float* x, int64_t rows, const int32_t* ids,
                   const float* weights, int32_t top_k, std::span<const TileExpert> experts,
                   float* out) {
  if (rows == 0) return;
  CpuScratch& s = cpu.scratch;
  const TileView up_view = experts[0].gate_up.view(), down_view = experts[0].down.view();
  const int32_t hidden = up_view.k, inter = down_view.k;
  const int64_t pairs = rows * top_k;
  const bool parallel = pairs * hidden * inter > kParallelWork;
  const std::vector<ActiveExpert> active = GroupByExpert(cpu, ids, pairs, experts);
  const auto max_rows = static_cast<int32_t>(rows);  // that one expert can have
  s.runs.Cut(experts[0].gate_up.tiles(), cpu.pool.threads(), cpu.kernels.tiles_per_call);
  ReserveKernelScratch(cpu, std::max(cpu.kernels.scratch_bytes(up_view, s.runs.longest(), max_rows),
                                     cpu.kernels.scratch_bytes(down_view, kTilesPerRun, max_rows)));
  s.pair_rows.resize(pairs);
  s.pair_weights.resize(pairs);
  for (int64_t i = 0; i < pairs; ++i) {
    s.pair_rows[i] = s.pair_order[i] / top_k;
    s.pair_weights[i] = weights[s.pair_order[i]];
  }

  cpu.pool.Run(s.panels.count(), parallel, [&](int64_t i, int32_t) {
    s.panels.Pack(cpu.kernels, up_view, i,
                  [&](int32_t pair) { return x + int64_t{s.pair_rows[pair]} * hidden; });
  });

  Grow(s.gate_up, pairs * 2 * inter);
  cpu.pool.Run(static_cast<int64_t>(active.size()) * s.runs.count(), parallel,
               [&](int64_t task, int32_t thread) {
                 const ActiveExpert& a = active[task / s.runs.count()];
                 const int64_t run = task % s.runs.count();
                 cpu.kernels.matmul(a.weights.gate_up.view(), s.runs.begin(run), s.runs.tiles(run),
                                    s.panels.List(a.panel_begin, a.panel_end),
                                    s.gate_up.data() + int64_t{a.pair_begin} * 2 * inter, 2 * inter,
                                    s.threads[thread].data());
               });

  cpu.pool.Run(s.gated.count(), parallel, [&](int64_t i, int32_t) {
    s.gated.Pack(cpu.kernels, down_view, i, [&](int32_t pair) {
      float* gate = s.gate_up.data() + int64_t{pair} * 2 * inter;
      cpu.kernels.silu_mul(gate, gate + inter, inter, gate);
      return gate;
    });
  });

  const int64_t partial_stride = int64_t{down_view.groups} * kRunWidth;
  const int32_t down_tiles = experts[0].down.tiles();
  const int64_t down_runs = (down_tiles + kTilesPerRun - 1) / kTilesPerRun;
  cpu.pool.Run(down_runs, parallel, [&](int64_t run, int32_t thread) {
    std::vector<float>& partial = s.partial[thread];
    partial.assign(rows * partial_stride, 0.0f);
    const auto tile = static_cast<int32_t>(run) * kTilesPerRun;
    const int32_t tiles = std::min(kTilesPerRun, down_tiles - tile);
    for (size_t i = 0; i < active.size(); ++i) {
      const ActiveExpert& a = active[i];
      const TileMatrix* const next = i + 1 < active.size() ? &active[i + 1].weights.down : nullptr;
      cpu.kernels.matmul_accumulate(
          a.weights.down.view(), tile, tiles, s.gated.List(a.panel_begin, a.panel_end),
          s.pair_weights.data() + a.pair_begin, s.pair_rows.data() + a.pair_begin, partial.data(),
          partial_stride,
          next == nullptr ? nullptr : next->view().data + tile * down_view.tile_bytes,
          s.threads[thread].data());
    }
    const int32_t width = std::min(kRunWidth, hidden - tile * kTileWidth);
    for (int64_t row = 0; row < rows; ++row) {
      cpu.kernels.join_groups(partial.data() + row * partial_stride, down_view.groups, width,
                              out + row * hidden + int64_t{tile} * kTileWidth);
    }
  });
}

}  // namespace vallm::engine
