// A weight matrix in the packed layout of docs/packed-weights.md, and the packer.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_TILE_MATRIX_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_TILE_MATRIX_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/device/cpu/aligned_memory.h"
#include "engine_service/device/cpu/kernels.h"
#include "engine_service/device/cpu/thread_pool.h"
#include "engine_service/device/device.h"

namespace vallm::engine {

// How k is cut: runs with one scale, all within one group.
struct Segments {
  std::vector<int32_t> ends;        // in k
  std::vector<int32_t> pairs;       // ends in pairs of input features
  std::vector<int32_t> group_ends;  // in segments
};

// Immutable once its weights are filled in.
class TileMatrix {
 public:
  // As Device::PackMatrix, in memory of its own.
  static absl::StatusOr<TileMatrix> Pack(std::span<const WeightSlice> stacked, int32_t k_groups,
                                         ThreadPool& pool);

  // The same in two steps, so that many matrices can share one piece of memory and its huge pages:
  // what a matrix of these slices looks like, without its weights, and then the weights.
  static absl::StatusOr<TileMatrix> Lay(std::span<const WeightSlice> stacked, int32_t k_groups);
  // `memory` is zeroed, 64-byte aligned, has bytes() and outlives this object; the slices are those
  // of Lay. Tiles are packed in parallel on `pool`.
  // Errors: INVALID_ARGUMENT (a value that has no place in its type).
  absl::Status Fill(std::span<const WeightSlice> stacked, std::byte* memory, ThreadPool& pool);

  int32_t n() const { return n_; }
  int32_t k() const { return k_; }
  int32_t tiles() const { return (n_ + kTileWidth - 1) / kTileWidth; }
  int64_t bytes() const { return tile_bytes_ * tiles(); }  // a multiple of 16
  // Valid while this object lives and is not moved.
  TileView view() const;

 private:
  // False if a value has no place in the type.
  bool PackTile(std::span<const WeightSlice> stacked, int64_t tile);

  int32_t n_ = 0;
  int32_t k_ = 0;
  WeightType type_ = WeightType::kBf16;
  int64_t tile_bytes_ = 0;
  Segments segments_;
  AlignedMemory own_;                 // empty if the memory is somebody else's
  std::byte* data_ = nullptr;         // [tiles][pairs][16][2] elements
  int32_t scale_lanes_ = kTileWidth;  // 1 if the lanes of every tile have one scale
  std::vector<float> scales_;         // [tiles][segments][scale_lanes], scaled types only
  std::vector<float> zeros_;          // [tiles][segments][16], integer types only
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_TILE_MATRIX_H_
