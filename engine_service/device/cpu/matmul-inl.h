// Matrix kernels: a panel of R rows times T tiles of 16 output features.
//
//   bf16:  group sum = fused x[k] * w[k] + sum for ascending k
//   e4m3:  the same over raw values within each segment (one scale per lane);
//          group sum = fused segment sum * scale + group sum, segments ascending
//   row    = balanced tree over the group sums
//
// docs/packed-weights.md has the layout and the reasons. Sums start from zero. R and T choose
// registers only: every row and lane has its own chain. No include guard: compiled once per
// instruction set, after its vec16_*.h.

namespace vallm::engine {
namespace {

struct Bf16Weights {
  using Element = uint16_t;
  static constexpr bool kScaled = false;
  static Vec Load(const Element* p) { return LoadBf16(p); }
  static void Load2(const Element* p, Vec& a, Vec& b) { LoadBf16x2(p, a, b); }
};

struct E4m3Weights {
  using Element = uint8_t;
  static constexpr bool kScaled = true;
  static Vec Load(const Element* p) { return LoadE4m3(p); }
  static void Load2(const Element* p, Vec& a, Vec& b) { LoadE4m3x2(p, a, b); }
};

// sum[r][t] += over k in [begin, end).
template <typename Weights, int R, int T>
[[gnu::always_inline]] inline void SumRange(const typename Weights::Element* tile,
                                            int64_t tile_stride, const float* panel, int32_t begin,
                                            int32_t end, Vec (&sum)[R][T]) {
  int32_t k = begin;
  for (; k + 2 <= end; k += 2) {
    Vec w0[T], w1[T];
    for (int t = 0; t < T; ++t) {
      Weights::Load2(tile + t * tile_stride + int64_t{k} * 16, w0[t], w1[t]);
    }
    const float* x = panel + int64_t{k} * R;
    for (int r = 0; r < R; ++r) {
      for (int t = 0; t < T; ++t) sum[r][t] = Fma(Set1(x[r]), w0[t], sum[r][t]);
    }
    for (int r = 0; r < R; ++r) {
      for (int t = 0; t < T; ++t) sum[r][t] = Fma(Set1(x[R + r]), w1[t], sum[r][t]);
    }
  }
  if (k < end) {
    Vec w[T];
    for (int t = 0; t < T; ++t) w[t] = Weights::Load(tile + t * tile_stride + int64_t{k} * 16);
    const float* x = panel + int64_t{k} * R;
    for (int r = 0; r < R; ++r) {
      for (int t = 0; t < T; ++t) sum[r][t] = Fma(Set1(x[r]), w[t], sum[r][t]);
    }
  }
}

template <typename Weights, int R, int T>
[[gnu::always_inline]] inline void GroupSum(const TileView& w, int32_t tile, int32_t group,
                                            const float* panel, Vec (&sum)[R][T]) {
  const auto* data = static_cast<const typename Weights::Element*>(w.data) + tile * w.tile_stride;
  const int32_t first = group == 0 ? 0 : w.group_ends[group - 1];
  for (int r = 0; r < R; ++r) {
    for (int t = 0; t < T; ++t) sum[r][t] = Zero();
  }
  for (int32_t s = first; s < w.group_ends[group]; ++s) {
    const int32_t begin = s == 0 ? 0 : w.segment_ends[s - 1];
    if constexpr (Weights::kScaled) {
      Vec raw[R][T];
      for (int r = 0; r < R; ++r) {
        for (int t = 0; t < T; ++t) raw[r][t] = Zero();
      }
      SumRange<Weights, R, T>(data, w.tile_stride, panel, begin, w.segment_ends[s], raw);
      for (int t = 0; t < T; ++t) {
        const Vec scale = Load(w.scales + (int64_t{tile + t} * w.segments + s) * 16);
        for (int r = 0; r < R; ++r) sum[r][t] = Fma(raw[r][t], scale, sum[r][t]);
      }
    } else {
      SumRange<Weights, R, T>(data, w.tile_stride, panel, begin, w.segment_ends[s], sum);
    }
  }
}

// Lanes of `tile` that hold an output feature.
inline int TileLanes(const TileView& w, int32_t tile) {
  const int32_t rest = w.n - tile * 16;
  return rest < 16 ? rest : 16;
}

template <typename Weights, int R, int T>
void MatmulBlock(const TileView& w, int32_t tile, const float* panel, float* const* out) {
  Vec sums[kMaxGroups][R][T];
  for (int32_t g = 0; g < w.groups; ++g) {
    Vec sum[R][T];
    GroupSum<Weights, R, T>(w, tile, g, panel, sum);
    for (int r = 0; r < R; ++r) {
      for (int t = 0; t < T; ++t) sums[g][r][t] = sum[r][t];
    }
  }
  for (int32_t width = w.groups / 2; width >= 1; width /= 2) {
    for (int32_t g = 0; g < width; ++g) {
      for (int r = 0; r < R; ++r) {
        for (int t = 0; t < T; ++t) {
          sums[g][r][t] = Add(sums[2 * g][r][t], sums[2 * g + 1][r][t]);
        }
      }
    }
  }
  for (int t = 0; t < T; ++t) {
    const int lanes = TileLanes(w, tile + t);
    const int64_t column = int64_t{tile + t} * 16;
    for (int r = 0; r < R; ++r) {
      if (lanes == 16) {
        Store(out[r] + column, sums[0][r][t]);
      } else {
        StoreFirst(out[r] + column, sums[0][r][t], lanes);
      }
    }
  }
}

template <typename Weights, int R, int T>
void AccumulateBlock(const TileView& w, int32_t tile, int32_t first_tile, const float* panel,
                     const float* row_weights, float* const* partial) {
  for (int32_t g = 0; g < w.groups; ++g) {
    Vec sum[R][T];
    GroupSum<Weights, R, T>(w, tile, g, panel, sum);
    for (int r = 0; r < R; ++r) {
      const Vec weight = Set1(row_weights[r]);
      float* to = partial[r] + (g * kTilesPerCall + tile - first_tile) * 16;
      for (int t = 0; t < T; ++t) Store(to + t * 16, Fma(weight, sum[r][t], Load(to + t * 16)));
    }
  }
}

template <typename Weights, int R, int T>
void MatmulTiles(const TileView& w, int32_t tile, int32_t end, const float* panel,
                 float* const* out) {
  for (; tile + T <= end; tile += T) MatmulBlock<Weights, R, T>(w, tile, panel, out);
  for (; tile < end; ++tile) MatmulBlock<Weights, R, 1>(w, tile, panel, out);
}

template <typename Weights, int R, int T>
void AccumulateTiles(const TileView& w, int32_t tile, int32_t end, const float* panel,
                     const float* row_weights, float* const* partial) {
  const int32_t first = tile;
  for (; tile + T <= end; tile += T) {
    AccumulateBlock<Weights, R, T>(w, tile, first, panel, row_weights, partial);
  }
  for (; tile < end; ++tile) {
    AccumulateBlock<Weights, R, 1>(w, tile, first, panel, row_weights, partial);
  }
}

template <int R, int T>
void MatmulRows(const TileView& w, int32_t tile, int32_t tiles, const float* panel,
                float* const* out) {
  if (w.e4m3) {
    MatmulTiles<E4m3Weights, R, T>(w, tile, tile + tiles, panel, out);
  } else {
    MatmulTiles<Bf16Weights, R, T>(w, tile, tile + tiles, panel, out);
  }
}

template <int R, int T>
void AccumulateRows(const TileView& w, int32_t tile, int32_t tiles, const float* panel,
                    const float* row_weights, float* const* partial) {
  if (w.e4m3) {
    AccumulateTiles<E4m3Weights, R, T>(w, tile, tile + tiles, panel, row_weights, partial);
  } else {
    AccumulateTiles<Bf16Weights, R, T>(w, tile, tile + tiles, panel, row_weights, partial);
  }
}

void JoinGroups(const float* partial, int32_t groups, int32_t n, float* out) {
  constexpr int kStride = kTilesPerCall * 16;
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
