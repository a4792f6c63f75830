// What the matrix kernels of all instruction sets share: reading scales, writing tiles out and
// joining groups.
// No include guard: compiled once per instruction set, after its vec16_*.h.

namespace vallm::engine {
namespace {

// Lanes of `tile` that hold an output feature.
inline int TileLanes(const TileView& w, int32_t tile) {
  const int32_t rest = w.n - tile * 16;
  return rest < 16 ? rest : 16;
}

// The scale of each lane of a segment.
inline Vec LoadScale(const TileView& w, int32_t tile, int32_t segment) {
  const int64_t i = int64_t{tile} * w.segments + segment;
  return w.scale_lanes == 1 ? Set1(w.scales[i]) : Load(w.scales + i * 16);
}

inline void StoreTile(const TileView& w, int32_t tile, Vec sum, float* row) {
  const int lanes = TileLanes(w, tile);
  if (lanes == 16) {
    Store(row + int64_t{tile} * 16, sum);
  } else {
    StoreFirst(row + int64_t{tile} * 16, sum, lanes);
  }
}

void JoinGroups(const float* partial, int32_t groups, int32_t n, float* out) {
  constexpr int kStride = kTilesPerRun * 16;
  for (int32_t i = 0; i < n; i += 16) {
    Vec sums[kMaxGroups];
    for (int32_t g = 0; g < groups; ++g) sums[g] = Load(partial + g * kStride + i);
    for (int32_t width = groups / 2; width >= 1; width /= 2) {
      for (int32_t g = 0; g < width; ++g) sums[g] = Add(sums[2 * g], sums[2 * g + 1]);
    }
    StoreFirst(out + i, sums[0], n - i < 16 ? n - i : 16);
  }
}

}  // namespace
}  // namespace vallm::engine
