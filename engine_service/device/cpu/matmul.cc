// Dense products: tasks are runs of tiles; within one, rows go by in blocks that stay in L2 while
// the tiles' weights stream past once per block.
#include <algorithm>

#include "engine_service/device/cpu/cpu_ops.h"

namespace vallm::engine {
namespace {

// Floats of interleaved rows that a core works on at a time: 768 KiB, part of a 1-2 MiB L2.
constexpr int64_t kRowBlockFloats = 192 * 1024;

}  // namespace

void CpuMatMul(CpuContext& cpu, const float* x, int64_t rows, const TileMatrix& w, float* out) {
  if (rows == 0) return;
  const TileView view = w.view();
  const int64_t k = view.k, n = view.n;
  const bool parallel = rows * k * n > kParallelWork;
  std::vector<PanelRange>& panels = cpu.scratch.panels;
  panels.clear();
  CutPanels(cpu.kernels, 0, static_cast<int32_t>(rows), panels);
  const int64_t panel_count = static_cast<int64_t>(panels.size());

  std::vector<float>& interleaved = cpu.scratch.interleaved;
  if (rows > 1) {
    if (static_cast<int64_t>(interleaved.size()) < rows * k) interleaved.resize(rows * k);
    cpu.pool.Run(panel_count, parallel, [&](int64_t i, int32_t) {
      const float* row_ptrs[kMaxPanelRows];
      for (int32_t r = 0; r < panels[i].rows; ++r) row_ptrs[r] = x + (panels[i].begin + r) * k;
      InterleaveRows(row_ptrs, panels[i].rows, view.k, interleaved.data() + panels[i].begin * k);
    });
  }
  const float* data = rows > 1 ? interleaved.data() : x;

  const int64_t block_panels = std::max<int64_t>(1, kRowBlockFloats / (k * panels[0].rows));
  const int64_t row_blocks = (panel_count + block_panels - 1) / block_panels;
  const int64_t tile_runs = (w.tiles() + kTilesPerCall - 1) / kTilesPerCall;
  cpu.pool.Run(row_blocks * tile_runs, parallel, [&](int64_t task, int32_t) {
    const int64_t first = task / tile_runs * block_panels;
    const int32_t tile = static_cast<int32_t>(task % tile_runs) * kTilesPerCall;
    const int32_t tiles = std::min(kTilesPerCall, w.tiles() - tile);
    for (int64_t i = first; i < std::min(first + block_panels, panel_count); ++i) {
      float* out_ptrs[kMaxPanelRows];
      for (int32_t r = 0; r < panels[i].rows; ++r) out_ptrs[r] = out + (panels[i].begin + r) * n;
      cpu.kernels.matmul(view, tile, tiles, {data + panels[i].begin * k, panels[i].rows}, out_ptrs);
    }
  });
}

}  // namespace vallm::engine
