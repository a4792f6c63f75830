// Dense products: a task is a run of tiles times a block of rows.
#include <algorithm>

#include "engine_service/device/cpu/cpu_ops.h"

namespace vallm::engine {

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
  TileRuns& runs = cpu.scratch.runs;
  // Several blocks share the threads. Many panels come back to their tiles, which must be few; one
  // panel takes them in the order of memory.
  const auto threads = static_cast<int32_t>((cpu.pool.threads() + blocks - 1) / blocks);
  runs.Cut(w.tiles(), threads, panels.count() == 1 ? w.tiles() : cpu.kernels.tiles_per_call);
  const int64_t block_rows = std::min(rows, block * panels.rows(0));
  ReserveKernelScratch(
      cpu, cpu.kernels.scratch_bytes(view, runs.longest(), static_cast<int32_t>(block_rows)));
  cpu.pool.Run(blocks * runs.count(), parallel, [&](int64_t task, int32_t thread) {
    const int64_t first = task / runs.count() * block;
    const int64_t end = std::min(first + block, panels.count());
    const int64_t run = task % runs.count();
    cpu.kernels.matmul(view, runs.begin(run), runs.tiles(run), panels.List(first, end),
                       out + int64_t{panels.begin(first)} * view.n, view.n,
                       cpu.scratch.threads[thread].data());
  });
}

}  // namespace vallm::engine
