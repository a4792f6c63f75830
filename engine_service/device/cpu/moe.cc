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

constexpr int32_t kRunWidth = kTilesPerCall * kTileWidth;

// Panels of one expert: [panel_begin, panel_end) in CpuScratch::panels.
struct ActiveExpert {
  int32_t expert;
  int32_t panel_begin;
  int32_t panel_end;
};

void Grow(std::vector<float>& buffer, int64_t size) {
  if (static_cast<int64_t>(buffer.size()) < size) buffer.resize(size);
}

// Sorts pairs by expert, rows ascending within one, and cuts them into panels.
std::vector<ActiveExpert> GroupByExpert(CpuContext& cpu, const int32_t* ids, int64_t pairs,
                                        int64_t experts) {
  CpuScratch& s = cpu.scratch;
  s.expert_begin.assign(experts + 1, 0);
  for (int64_t p = 0; p < pairs; ++p) ++s.expert_begin[ids[p] + 1];
  std::partial_sum(s.expert_begin.begin(), s.expert_begin.end(), s.expert_begin.begin());
  s.pair_order.resize(pairs);
  std::vector<int32_t> next(s.expert_begin.begin(), s.expert_begin.end() - 1);
  for (int64_t p = 0; p < pairs; ++p) s.pair_order[next[ids[p]]++] = static_cast<int32_t>(p);
  s.panels.clear();
  std::vector<ActiveExpert> active;
  for (int32_t e = 0; e < experts; ++e) {
    const int32_t first = static_cast<int32_t>(s.panels.size());
    CutPanels(cpu.kernels, s.expert_begin[e], s.expert_begin[e + 1], s.panels);
    const int32_t end = static_cast<int32_t>(s.panels.size());
    if (first < end) active.push_back({e, first, end});
  }
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
  const int32_t hidden = experts[0].gate_up.k();
  const int32_t inter = experts[0].down.k();
  const int64_t pairs = rows * top_k;
  const bool parallel = pairs * hidden * inter > kParallelWork;
  const std::vector<ActiveExpert> active =
      GroupByExpert(cpu, ids, pairs, static_cast<int64_t>(experts.size()));
  const int64_t panel_count = static_cast<int64_t>(s.panels.size());
  const auto row_of = [&](int32_t pair) { return int64_t{s.pair_order[pair] / top_k}; };

  Grow(s.interleaved, pairs * hidden);
  cpu.pool.Run(panel_count, parallel, [&](int64_t i, int32_t) {
    const PanelRange panel = s.panels[i];
    const float* from[kMaxPanelRows];
    for (int32_t r = 0; r < panel.rows; ++r) from[r] = x + row_of(panel.begin + r) * hidden;
    InterleaveRows(from, panel.rows, hidden, s.interleaved.data() + int64_t{panel.begin} * hidden);
  });

  Grow(s.gate_up, pairs * 2 * inter);
  const int64_t up_runs = (experts[0].gate_up.tiles() + kTilesPerCall - 1) / kTilesPerCall;
  cpu.pool.Run(static_cast<int64_t>(active.size()) * up_runs, parallel, [&](int64_t task, int32_t) {
    const ActiveExpert& a = active[task / up_runs];
    const TileMatrix& w = experts[a.expert].gate_up;
    const int32_t tile = static_cast<int32_t>(task % up_runs) * kTilesPerCall;
    const int32_t tiles = std::min(kTilesPerCall, w.tiles() - tile);
    for (int32_t i = a.panel_begin; i < a.panel_end; ++i) {
      const PanelRange panel = s.panels[i];
      float* to[kMaxPanelRows];
      for (int32_t r = 0; r < panel.rows; ++r) {
        to[r] = s.gate_up.data() + int64_t{panel.begin + r} * 2 * inter;
      }
      cpu.kernels.matmul(w.view(), tile, tiles,
                         {s.interleaved.data() + int64_t{panel.begin} * hidden, panel.rows}, to);
    }
  });

  Grow(s.gated, pairs * inter);
  cpu.pool.Run(panel_count, parallel, [&](int64_t i, int32_t) {
    const PanelRange panel = s.panels[i];
    const float* from[kMaxPanelRows];
    for (int32_t r = 0; r < panel.rows; ++r) {
      float* gate = s.gate_up.data() + int64_t{panel.begin + r} * 2 * inter;
      cpu.kernels.silu_mul(gate, gate + inter, inter, gate);
      from[r] = gate;
    }
    InterleaveRows(from, panel.rows, inter, s.gated.data() + int64_t{panel.begin} * inter);
  });

  const int32_t groups = experts[0].down.view().groups;
  const int64_t partial_stride = int64_t{groups} * kRunWidth;
  const int32_t down_tiles = experts[0].down.tiles();
  const int64_t down_runs = (down_tiles + kTilesPerCall - 1) / kTilesPerCall;
  s.partial.resize(cpu.pool.threads());
  cpu.pool.Run(down_runs, parallel, [&](int64_t run, int32_t thread) {
    std::vector<float>& partial = s.partial[thread];
    partial.assign(rows * partial_stride, 0.0f);
    const int32_t tile = static_cast<int32_t>(run) * kTilesPerCall;
    const int32_t tiles = std::min(kTilesPerCall, down_tiles - tile);
    for (const ActiveExpert& a : active) {
      const TileView w = experts[a.expert].down.view();
      for (int32_t i = a.panel_begin; i < a.panel_end; ++i) {
        const PanelRange panel = s.panels[i];
        float row_weights[kMaxPanelRows];
        float* to[kMaxPanelRows];
        for (int32_t r = 0; r < panel.rows; ++r) {
          row_weights[r] = weights[s.pair_order[panel.begin + r]];
          to[r] = partial.data() + row_of(panel.begin + r) * partial_stride;
        }
        cpu.kernels.matmul_accumulate(w, tile, tiles,
                                      {s.gated.data() + int64_t{panel.begin} * inter, panel.rows},
                                      row_weights, to);
      }
    }
    const int32_t width = std::min(kRunWidth, hidden - tile * kTileWidth);
    for (int64_t row = 0; row < rows; ++row) {
      cpu.kernels.join_groups(partial.data() + row * partial_stride, groups, width,
                              out + row * hidden + int64_t{tile} * kTileWidth);
    }
  });
}

}  // namespace vallm::engine
