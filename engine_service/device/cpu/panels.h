// Activations rearranged for the matrix kernels: rows in panels of the sizes the kernels have.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_PANELS_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_PANELS_H_

#include <cstdint>
#include <vector>

#include "engine_service/device/cpu/kernels.h"

namespace vallm::engine {

// Consecutive rows that one kernel call handles.
struct PanelRange {
  int32_t begin;
  int32_t rows;
};

// Cuts rows [begin, end) into panels, largest first, and appends them to `out`. How rows are cut
// changes no result.
inline void CutPanels(const Kernels& kernels, int32_t begin, int32_t end,
                      std::vector<PanelRange>& out) {
  const int32_t* size = kernels.panel_sizes;
  while (begin < end) {
    while (*size > end - begin) ++size;
    out.push_back({begin, *size});
    begin += *size;
  }
}

// Interleaves rows[r][k] as panel[k * count + r].
inline void InterleaveRows(const float* const* rows, int32_t count, int32_t k, float* panel) {
  for (int32_t i = 0; i < k; ++i) {
    for (int32_t r = 0; r < count; ++r) panel[int64_t{i} * count + r] = rows[r][i];
  }
}

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_PANELS_H_
