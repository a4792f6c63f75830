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

absl::Status CheckWindow(const WeightSlice& slice) {
  if (slice.row_count < 1 || slice.row_begin < 0 || slice.col_begin < 0 ||
      slice.col_begin + slice.col_count > slice.matrix_cols) {
    return absl::InvalidArgumentError("weight slice is empty or outside its matrix");
  }
  if (!IsScaled(slice.type)) return absl::OkStatus();
  if (slice.scales == nullptr || slice.block_rows < 1 || slice.block_cols < 1) {
    return absl::InvalidArgumentError("scaled weights without block scales");
  }
  if (HasZeros(slice.type) && slice.zeros == nullptr) {
    return absl::InvalidArgumentError("integer weights without zero points");
  }
  return absl::OkStatus();
}

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
  int64_t rows = 0;
  for (const WeightSlice& slice : stacked) {
    rows += slice.row_count;
    if (slice.type != first.type || slice.col_begin != first.col_begin ||
        slice.col_count != first.col_count ||
        (IsScaled(first.type) && slice.block_cols != first.block_cols)) {
      return absl::InvalidArgumentError("stacked weights differ in dtype, columns or blocks");
    }
    VALLM_RETURN_IF_ERROR(CheckWindow(slice));
    if (rows > INT32_MAX - kTileWidth) {
      return absl::InvalidArgumentError("weights have too many output features");
    }
  }
  return absl::OkStatus();
}

// Cuts k at every border of a group, of a quantisation block and of kMaxSegment columns of the
// whole matrix, so that shards are cut where the whole is.
void CutSegments(const WeightSlice& slice, int32_t k_groups, Segments& out) {
  const int64_t group_width = slice.col_count / k_groups;
  const auto next_multiple = [&](int64_t begin, int64_t width) {
    return ((slice.col_begin + begin) / width + 1) * width - slice.col_begin;
  };
  int64_t pairs = 0;
  for (int64_t begin = 0; begin < slice.col_count;) {
    const int64_t group_end = (begin / group_width + 1) * group_width;
    int64_t end = std::min(group_end, next_multiple(begin, kMaxSegment));
    if (IsScaled(slice.type)) end = std::min(end, next_multiple(begin, slice.block_cols));
    pairs += (end - begin + 1) / 2;
    out.ends.push_back(static_cast<int32_t>(end));
    out.pairs.push_back(static_cast<int32_t>(pairs));
    if (end == group_end) out.group_ends.push_back(static_cast<int32_t>(out.ends.size()));
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

// Calls put(pair, lane, first, second) for every pair of input features and every lane that is not
// padding; `second` is zero where a segment of odd length ends.
template <typename Element, typename Put>
void ForEachPair(const Lane (&lanes)[kTileWidth], const Segments& segments, const Put& put) {
  int32_t begin = 0, pair = 0;
  for (const int32_t end : segments.ends) {
    for (int i = 0; i < kTileWidth; ++i) {
      const WeightSlice* slice = lanes[i].slice;
      if (slice == nullptr) continue;
      const std::byte* row =
          static_cast<const std::byte*>(slice->data) +
          (lanes[i].row * slice->matrix_cols + slice->col_begin) * int64_t{sizeof(Element)};
      for (int32_t k = begin; k < end; k += 2) {
        // A checkpoint may hold two-byte elements at odd addresses.
        Element both[2] = {};
        std::memcpy(both, row + k * sizeof(Element), sizeof(Element) * (k + 1 < end ? 2 : 1));
        put(pair + (k - begin) / 2, i, both[0], both[1]);
      }
    }
    pair += (end - begin + 1) / 2;
    begin = end;
  }
}

// Interleaves sixteen rows as [pairs][16][2]. Padding stays zero.
template <typename Element>
void PackElements(const Lane (&lanes)[kTileWidth], const Segments& segments, std::byte* tile) {
  auto* out = reinterpret_cast<Element*>(tile);
  ForEachPair<Element>(lanes, segments, [&](int64_t pair, int lane, Element first, Element second) {
    out[(pair * kTileWidth + lane) * 2] = first;
    out[(pair * kTileWidth + lane) * 2 + 1] = second;
  });
}

// The same for uint4: a byte holds a pair. False if a value is above 15.
bool PackNibbles(const Lane (&lanes)[kTileWidth], const Segments& segments, std::byte* tile) {
  auto* out = reinterpret_cast<uint8_t*>(tile);
  uint8_t all = 0;
  ForEachPair<uint8_t>(lanes, segments, [&](int64_t pair, int lane, uint8_t first, uint8_t second) {
    all |= first | second;
    out[pair * kTileWidth + lane] = static_cast<uint8_t>((second << 4) | first);
  });
  return all < 16;
}

// Whether all lanes of every tile, padding aside, lie in one block of scales.
bool TilesHaveOneScale(std::span<const WeightSlice> stacked, int32_t n) {
  for (int64_t tile = 0; tile < n; tile += kTileWidth) {
    const Lane first = FindLane(stacked, tile);
    for (int i = 1; i < kTileWidth; ++i) {
      const Lane lane = FindLane(stacked, tile + i);
      if (lane.slice != nullptr &&
          (lane.slice != first.slice ||
           lane.row / lane.slice->block_rows != first.row / first.slice->block_rows)) {
        return false;
      }
    }
  }
  return true;
}

// of(slice, block) for each segment and the first `count` lanes, block being an index into the
// slice's scales.
template <typename Of>
void PackScales(const Lane (&lanes)[kTileWidth], int32_t count, const Segments& segments,
                const Of& of, float* out) {
  int32_t begin = 0;
  for (const int32_t end : segments.ends) {
    for (int i = 0; i < count; ++i) {
      const WeightSlice* slice = lanes[i].slice;
      if (slice == nullptr) continue;
      out[i] = of(*slice, lanes[i].row / slice->block_rows * slice->scale_cols +
                              (slice->col_begin + begin) / slice->block_cols);
    }
    out += count;
    begin = end;
  }
}

bool HasE4m3Nan(const std::byte* data, int64_t count) {
  bool nan = false;
  for (int64_t i = 0; i < count; ++i) nan |= (static_cast<uint8_t>(data[i]) & 0x7f) == 0x7f;
  return nan;
}

int64_t PairBytes(WeightType type) {
  switch (type) {
    case WeightType::kBf16:
    case WeightType::kF16:
      return 2 * kTileWidth * 2;
    case WeightType::kF8E4m3:
    case WeightType::kUint8:
      return 2 * kTileWidth;
    case WeightType::kUint4:
      return kTileWidth;
  }
  return 0;
}

}  // namespace

absl::StatusOr<TileMatrix> TileMatrix::Pack(std::span<const WeightSlice> stacked, int32_t k_groups,
                                            ThreadPool& pool) {
  VALLM_ASSIGN_OR_RETURN(TileMatrix matrix, Lay(stacked, k_groups));
  VALLM_ASSIGN_OR_RETURN(matrix.own_, AlignedMemory::Allocate(matrix.bytes()));
  VALLM_RETURN_IF_ERROR(matrix.Fill(stacked, matrix.own_.data(), pool));
  return matrix;
}

absl::StatusOr<TileMatrix> TileMatrix::Lay(std::span<const WeightSlice> stacked, int32_t k_groups) {
  VALLM_RETURN_IF_ERROR(CheckSlices(stacked, k_groups));
  TileMatrix matrix;
  for (const WeightSlice& slice : stacked) matrix.n_ += static_cast<int32_t>(slice.row_count);
  matrix.k_ = static_cast<int32_t>(stacked[0].col_count);
  matrix.type_ = stacked[0].type;
  CutSegments(stacked[0], k_groups, matrix.segments_);
  if (IsScaled(matrix.type_) && TilesHaveOneScale(stacked, matrix.n_)) matrix.scale_lanes_ = 1;
  matrix.tile_bytes_ = matrix.segments_.pairs.back() * PairBytes(matrix.type_);
  return matrix;
}

absl::Status TileMatrix::Fill(std::span<const WeightSlice> stacked, std::byte* memory,
                              ThreadPool& pool) {
  data_ = memory;
  const int64_t segments = tiles() * static_cast<int64_t>(segments_.ends.size());
  if (IsScaled(type_)) scales_.resize(segments * scale_lanes_);
  if (HasZeros(type_)) zeros_.resize(segments * kTileWidth);
  std::atomic<bool> bad{false};
  pool.Run(tiles(), /*parallel=*/bytes() > (1 << 16), [&](int64_t tile, int32_t) {
    if (!PackTile(stacked, tile)) bad.store(true, std::memory_order_relaxed);
  });
  if (!bad.load()) return absl::OkStatus();
  return absl::InvalidArgumentError(type_ == WeightType::kF8E4m3
                                        ? "e4m3 weights hold a NaN"
                                        : "uint4 weights hold a value above 15");
}

bool TileMatrix::PackTile(std::span<const WeightSlice> stacked, int64_t tile) {
  Lane lanes[kTileWidth];
  for (int i = 0; i < kTileWidth; ++i) lanes[i] = FindLane(stacked, tile * kTileWidth + i);
  std::byte* const out = data_ + tile * tile_bytes_;
  const int64_t first_segment = tile * static_cast<int64_t>(segments_.ends.size());
  if (IsScaled(type_)) {
    const float factor = type_ == WeightType::kF8E4m3 ? kE4m3Scale : 1.0f;
    PackScales(
        lanes, scale_lanes_, segments_,
        [&](const WeightSlice& slice, int64_t block) { return slice.scales[block] * factor; },
        scales_.data() + first_segment * scale_lanes_);
  }
  if (HasZeros(type_)) {
    PackScales(
        lanes, kTileWidth, segments_,
        [](const WeightSlice& slice, int64_t block) {
          return static_cast<float>(slice.zeros[block]);
        },
        zeros_.data() + first_segment * kTileWidth);
  }
  switch (type_) {
    case WeightType::kBf16:
    case WeightType::kF16:
      PackElements<uint16_t>(lanes, segments_, out);
      return true;
    case WeightType::kF8E4m3:
      PackElements<uint8_t>(lanes, segments_, out);
      return !HasE4m3Nan(out, tile_bytes_);
    case WeightType::kUint8:
      PackElements<uint8_t>(lanes, segments_, out);
      return true;
    case WeightType::kUint4:
      return PackNibbles(lanes, segments_, out);
  }
  return false;
}

TileView TileMatrix::view() const {
  return {.type = type_,
          .data = reinterpret_cast<const uint8_t*>(data_),
          .scales = scales_.empty() ? nullptr : scales_.data(),
          .zeros = zeros_.empty() ? nullptr : zeros_.data(),
          .segment_ends = segments_.ends.data(),
          .segment_pairs = segments_.pairs.data(),
          .group_ends = segments_.group_ends.data(),
          .tile_bytes = tile_bytes_,
          .n = n_,
          .k = k_,
          .segments = static_cast<int32_t>(segments_.ends.size()),
          .groups = static_cast<int32_t>(segments_.group_ends.size()),
          .scale_lanes = scale_lanes_};
}

}  // namespace vallm::engine
