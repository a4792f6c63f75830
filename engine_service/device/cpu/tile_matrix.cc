#include "engine_service/device/cpu/tile_matrix.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

// Kernels read an e4m3 value as an IEEE half, which makes it 2^8 too small (vec16_portable.h).
constexpr float kE4m3Scale = 256.0f;

absl::Status CheckSlices(std::span<const WeightSlice> stacked, int32_t k_groups) {
  if (stacked.empty()) return absl::InvalidArgumentError("no weight slices to pack");
  const WeightSlice& first = stacked[0];
  if (k_groups != 1 && k_groups != 2 && k_groups != 4 && k_groups != 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("weights want ", k_groups, " k groups; must be 1, 2, 4 or 8"));
  }
  if (first.col_count < 1 || first.col_count > INT32_MAX || first.col_count % k_groups != 0) {
    return absl::InvalidArgumentError(absl::StrCat("weights have ", first.col_count,
                                                   " input features, which ", k_groups,
                                                   " k groups do not divide"));
  }
  if (first.type != WeightType::kBf16 && first.type != WeightType::kF8E4m3) {
    return absl::UnimplementedError("the CPU device runs bf16 and e4m3 weights only");
  }
  int64_t rows = 0;
  for (const WeightSlice& slice : stacked) {
    rows += slice.row_count;
    if (slice.type != first.type || slice.col_begin != first.col_begin ||
        slice.col_count != first.col_count || slice.block_cols != first.block_cols) {
      return absl::InvalidArgumentError("stacked weights differ in dtype, columns or blocks");
    }
    if (slice.row_count < 1 || slice.row_begin < 0 || slice.col_begin < 0 ||
        slice.col_begin + slice.col_count > slice.matrix_cols || rows > INT32_MAX - 16) {
      return absl::InvalidArgumentError("weight slice is empty or outside its matrix");
    }
    if (slice.type == WeightType::kF8E4m3 &&
        (slice.scales == nullptr || slice.block_rows < 1 || slice.block_cols < 1)) {
      return absl::InvalidArgumentError("e4m3 weights without block scales");
    }
  }
  return absl::OkStatus();
}

// Ends of the runs of k over which the scale is constant and the group the same.
void CutSegments(const WeightSlice& slice, int32_t k_groups, std::vector<int32_t>& segment_ends,
                 std::vector<int32_t>& group_ends) {
  const int64_t group_width = slice.col_count / k_groups;
  for (int64_t begin = 0; begin < slice.col_count;) {
    const int64_t group_end = (begin / group_width + 1) * group_width;
    int64_t end = group_end;
    if (slice.type == WeightType::kF8E4m3) {
      const int64_t column = slice.col_begin + begin;
      const int64_t block_end = (column / slice.block_cols + 1) * slice.block_cols;
      end = std::min(end, block_end - slice.col_begin);
    }
    segment_ends.push_back(static_cast<int32_t>(end));
    if (end == group_end) group_ends.push_back(static_cast<int32_t>(segment_ends.size()));
    begin = end;
  }
}

// One output feature: where its row of K weights begins, and its slice and row for the scales.
struct Lane {
  const WeightSlice* slice = nullptr;  // null: padding
  int64_t row = 0;                     // in the whole matrix
};

Lane FindLane(std::span<const WeightSlice> stacked, int64_t feature) {
  for (const WeightSlice& slice : stacked) {
    if (feature < slice.row_count) return {&slice, slice.row_begin + feature};
    feature -= slice.row_count;
  }
  return {};
}

// Interleaves sixteen rows as [k][16]. Padding lanes stay zero.
template <typename Element>
void PackTile(const Lane (&lanes)[kTileWidth], int32_t k, Element* out) {
  constexpr int32_t kChunk = 64;  // keeps the sixteen source lines and the output in L1
  for (int32_t begin = 0; begin < k; begin += kChunk) {
    const int32_t end = std::min(begin + kChunk, k);
    for (int i = 0; i < kTileWidth; ++i) {
      const WeightSlice* slice = lanes[i].slice;
      if (slice == nullptr) continue;
      const std::byte* row =
          static_cast<const std::byte*>(slice->data) +
          (lanes[i].row * slice->matrix_cols + slice->col_begin) * int64_t{sizeof(Element)};
      for (int32_t j = begin; j < end; ++j) {
        // A checkpoint may hold two-byte elements at odd addresses.
        std::memcpy(&out[int64_t{j} * kTileWidth + i], row + j * sizeof(Element), sizeof(Element));
      }
    }
  }
}

void PackScales(const Lane (&lanes)[kTileWidth], std::span<const int32_t> segment_ends,
                float* out) {
  int32_t begin = 0;
  for (const int32_t end : segment_ends) {
    for (int i = 0; i < kTileWidth; ++i) {
      const WeightSlice* slice = lanes[i].slice;
      if (slice == nullptr) continue;
      const int64_t block = lanes[i].row / slice->block_rows * slice->scale_cols +
                            (slice->col_begin + begin) / slice->block_cols;
      out[i] = slice->scales[block] * kE4m3Scale;
    }
    out += kTileWidth;
    begin = end;
  }
}

bool HasNan(const uint8_t* data, int64_t count) {
  bool nan = false;
  for (int64_t i = 0; i < count; ++i) nan |= (data[i] & 0x7f) == 0x7f;
  return nan;
}

}  // namespace

absl::StatusOr<TileMatrix> TileMatrix::Pack(std::span<const WeightSlice> stacked, int32_t k_groups,
                                            ThreadPool& pool) {
  VALLM_RETURN_IF_ERROR(CheckSlices(stacked, k_groups));
  TileMatrix matrix;
  for (const WeightSlice& slice : stacked) matrix.n_ += static_cast<int32_t>(slice.row_count);
  matrix.k_ = static_cast<int32_t>(stacked[0].col_count);
  matrix.e4m3_ = stacked[0].type == WeightType::kF8E4m3;
  CutSegments(stacked[0], k_groups, matrix.segment_ends_, matrix.group_ends_);
  const int64_t tile_elements = int64_t{matrix.k_} * kTileWidth;
  const int64_t segments = static_cast<int64_t>(matrix.segment_ends_.size());
  VALLM_ASSIGN_OR_RETURN(matrix.data_, AlignedMemory::Allocate(tile_elements * matrix.tiles() *
                                                               (matrix.e4m3_ ? 1 : 2)));
  if (matrix.e4m3_) matrix.scales_.resize(matrix.tiles() * segments * kTileWidth);

  std::atomic<bool> nan{false};
  pool.Run(matrix.tiles(), /*parallel=*/tile_elements * matrix.tiles() > (1 << 16),
           [&](int64_t tile, int32_t) {
             Lane lanes[kTileWidth];
             for (int i = 0; i < kTileWidth; ++i) {
               lanes[i] = FindLane(stacked, tile * kTileWidth + i);
             }
             if (!matrix.e4m3_) {
               PackTile(lanes, matrix.k_,
                        reinterpret_cast<uint16_t*>(matrix.data_.data()) + tile * tile_elements);
               return;
             }
             auto* out = reinterpret_cast<uint8_t*>(matrix.data_.data()) + tile * tile_elements;
             PackTile(lanes, matrix.k_, out);
             PackScales(lanes, matrix.segment_ends_,
                        matrix.scales_.data() + tile * segments * kTileWidth);
             if (HasNan(out, tile_elements)) nan.store(true, std::memory_order_relaxed);
           });
  if (nan.load()) return absl::InvalidArgumentError("e4m3 weights hold a NaN");
  return matrix;
}

TileView TileMatrix::view() const {
  return {.data = data_.data(),
          .scales = scales_.empty() ? nullptr : scales_.data(),
          .segment_ends = segment_ends_.data(),
          .group_ends = group_ends_.data(),
          .tile_stride = int64_t{k_} * kTileWidth,
          .n = n_,
          .k = k_,
          .segments = static_cast<int32_t>(segment_ends_.size()),
          .groups = static_cast<int32_t>(group_ends_.size()),
          .e4m3 = e4m3_};
}

}  // namespace vallm::engine
