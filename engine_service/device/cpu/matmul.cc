// Dense products: a task is a run of tiles times a block of rows.
#include <algorithm>

#include "engine_service/device/cpu/cpu_ops.h"

namespace vallm::engine {
namespace {

// As many tiles as the kernels like, but few enough that every thread has many tasks and none waits
// long for the last one.
int64_t TilesPerCall(const CpuContext& cpu, int64_t tiles, int64_t row_blocks) {
  constexpr int64_t kTasksPerThread = 16;
  const int64_t even_share = tiles * row_blocks / (cpu.pool.threads() * kTasksPerThread);
  return std::clamp<int64_t>(even_share / kTilesPerRun * kTilesPerRun, kTilesPerRun,
                             cpu.kernels.tiles_per_call);
}

}  // namespace

void CpuMatMul(CpuContext& cpu, const float* x, int64_t rows, const TileMatrix& w, float* out) {
  if (rows == 0) return;
  const TileView view = w.view();
  const bool parallel = rows * view.k * view.n > kParallelWork;
  PanelSet& panels = cpu.scratch.panels;
  panels.Clear();
  panels.Cut(cpu.kernels, view, 0, static_cast<int32_t>(rows));
  panels.Place();
  cpu.pool.Run(panels.count(), parallel, [&](int64_t i, int32_t) {
    panels.Pack(cpu.kernels, view, i, [&](int32_t row) { return x + int64_t{row} * view.k; });
  });

  const int64_t block = std::max<int64_t>(
      1, cpu.kernels.panel_bytes_per_call / cpu.kernels.panel_bytes(view, panels.rows(0)));
  const int64_t blocks = (panels.count() + block - 1) / block;
  const int64_t tiles_per_call = TilesPerCall(cpu, w.tiles(), blocks);
  const int64_t runs = (w.tiles() + tiles_per_call - 1) / tiles_per_call;
  ReserveKernelScratch(cpu, cpu.kernels.scratch_bytes(view, static_cast<int32_t>(tiles_per_call),
                                                      static_cast<int32_t>(rows)));
  cpu.pool.Run(blocks * runs, parallel, [&](int64_t task, int32_t thread) {
    const int64_t first = task / runs * block;
    const int64_t end = std::min(first + block, panels.count());
    const int64_t tile = task % runs * tiles_per_call;
    cpu.kernels.matmul(view, static_cast<int32_t>(tile),
                       static_cast<int32_t>(std::min<int64_t>(tiles_per_call, w.tiles() - tile)),
                       panels.List(first, end), out + int64_t{panels.begin(first)} * view.n, view.n,
                       cpu.scratch.threads[thread].data());
  });
}

}  // namespace vallm::engine
