// Activations in the form that the matrix kernels read: rows in panels of the sizes that the
// kernels have. How rows are cut into panels changes no result.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_PANELS_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_PANELS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine_service/device/cpu/kernels.h"
#include "engine_service/device/cpu/memory_checks.h"

namespace vallm::engine {

// Memory that grows and is then used again and again; 64-byte aligned, contents undefined.
class ScratchMemory {
 public:
  void Reserve(int64_t bytes) {
    const size_t want = static_cast<size_t>(bytes) + 64;
    AllowAccess(memory_.data(), memory_.size());
    if (memory_.size() < want) memory_ = std::vector<std::byte>(want);
    ForbidAccess(data() + bytes,
                 static_cast<size_t>(memory_.data() + memory_.size() - data() - bytes));
  }
  std::byte* data() {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    return memory_.data() + (64 - address % 64) % 64;
  }

 private:
  std::vector<std::byte> memory_;
};

// The panels of one product, or of one per expert, one after the other.
class PanelSet {
 public:
  void Clear() {
    ranges_.clear();
    views_.clear();
    bytes_ = 0;
  }
  // Cuts rows [begin, end) into panels of input for w, largest first, and appends them.
  void Cut(const Kernels& kernels, const TileView& w, int32_t begin, int32_t end) {
    const int32_t* size = kernels.panel_sizes;
    while (begin < end) {
      while (*size > end - begin) ++size;
      ranges_.push_back({begin, *size, bytes_});
      bytes_ += kernels.panel_bytes(w, *size);
      begin += *size;
    }
  }
  // Makes room for what was cut. To be called before Pack and List.
  void Place() {
    memory_.Reserve(bytes_);
    for (const Range& range : ranges_) {
      views_.push_back({memory_.data() + range.offset, range.rows});
    }
  }

  int64_t count() const { return static_cast<int64_t>(ranges_.size()); }
  int32_t begin(int64_t panel) const { return ranges_[panel].begin; }  // its first row
  int32_t rows(int64_t panel) const { return ranges_[panel].rows; }
  // Panels [first, end).
  PanelList List(int64_t first, int64_t end) const {
    return {views_.data() + first, static_cast<int32_t>(end - first)};
  }
  // Packs one panel; row(i) are the w.k floats of row i. Panels may be packed at the same time.
  template <typename Row>
  void Pack(const Kernels& kernels, const TileView& w, int64_t panel, const Row& row) {
    const Range& range = ranges_[panel];
    const float* rows[kMaxPanelRows];
    for (int32_t r = 0; r < range.rows; ++r) rows[r] = row(range.begin + r);
    kernels.pack_panel(w, rows, range.rows, memory_.data() + range.offset);
  }

 private:
  struct Range {
    int32_t begin;
    int32_t rows;
    int64_t offset;  // in memory_
  };
  std::vector<Range> ranges_;
  std::vector<PanelView> views_;
  int64_t bytes_ = 0;
  ScratchMemory memory_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_PANELS_H_
