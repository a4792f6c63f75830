// Matrix kernels over fused multiply-add: a panel of R rows times T tiles of 16 output features.
//
//   segment sum  s = fused x[k] * w[k] + s for ascending k, over unscaled weights (e4m3 values
//                times 2^-8, integers less their zero point)
//   group sum    g = fused s * scale + g (bf16 and f16: g = s + g), segments ascending
//   row          = balanced tree over the group sums
//
// docs/packed-weights.md has the layout and the reasons. Sums start from zero. R and T choose
// registers only: every row and lane has its own chain. A panel is interleaved: data[k * R + r].
// No include guard: compiled once per instruction set, after its vec16_*.h and tiles-inl.h.

namespace vallm::engine {
namespace {

constexpr int32_t kTilesPerCall = kTilesPerRun;
constexpr int64_t kPrefetchBytes = 2048;           // ahead in the weights of a tile
constexpr int64_t kPanelBytesPerCall = 768 << 10;  // part of a 1-2 MiB L2: every tile reads them

// How the weights of one format become floats.
template <WeightType>
struct Weights;
template <>
struct Weights<WeightType::kBf16> {
  static constexpr int kPairBytes = 64;
  static constexpr bool kScaled = false, kZeros = false;
  static void LoadPairs(const uint8_t* p, Vec& a, Vec& b) { LoadBf16Pairs(p, a, b); }
};
template <>
struct Weights<WeightType::kF16> {
  static constexpr int kPairBytes = 64;
  static constexpr bool kScaled = false, kZeros = false;
  static void LoadPairs(const uint8_t* p, Vec& a, Vec& b) { LoadF16Pairs(p, a, b); }
};
template <>
struct Weights<WeightType::kF8E4m3> {
  static constexpr int kPairBytes = 32;
  static constexpr bool kScaled = true, kZeros = false;
  static void LoadPairs(const uint8_t* p, Vec& a, Vec& b) { LoadE4m3Pairs(p, a, b); }
};
template <>
struct Weights<WeightType::kUint8> {
  static constexpr int kPairBytes = 32;
  static constexpr bool kScaled = true, kZeros = true;
  static void LoadPairs(const uint8_t* p, Vec& a, Vec& b) { LoadUint8Pairs(p, a, b); }
};
template <>
struct Weights<WeightType::kUint4> {
  static constexpr int kPairBytes = 16;
  static constexpr bool kScaled = true, kZeros = true;
  static void LoadPairs(const uint8_t* p, Vec& a, Vec& b) { LoadUint4Pairs(p, a, b); }
};

// sum[r][t] += over the `count` input features from `panel`, whose weights begin at `tile`.
template <typename W, int R, int T>
[[gnu::always_inline]] inline void SumSegment(const uint8_t* tile, int64_t tile_bytes,
                                              const Vec (&zero)[T], const float* panel,
                                              int32_t count, Vec (&sum)[R][T]) {
  for (int32_t k = 0; k < count; k += 2) {
    Vec w0[T], w1[T];
    for (int t = 0; t < T; ++t) {
      W::LoadPairs(tile + t * tile_bytes, w0[t], w1[t]);
      if constexpr (R <= 4) __builtin_prefetch(tile + t * tile_bytes + kPrefetchBytes);
      if constexpr (W::kZeros) {
        w0[t] = Sub(w0[t], zero[t]);
        w1[t] = Sub(w1[t], zero[t]);
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int t = 0; t < T; ++t) sum[r][t] = Fma(Set1(panel[r]), w0[t], sum[r][t]);
    }
    if (k + 1 < count) {
      for (int r = 0; r < R; ++r) {
        for (int t = 0; t < T; ++t) sum[r][t] = Fma(Set1(panel[R + r]), w1[t], sum[r][t]);
      }
    }
    tile += W::kPairBytes;
    panel += 2 * R;
  }
}

template <typename W, int R, int T>
[[gnu::always_inline]] inline void GroupSum(const TileView& w, int32_t tile, int32_t group,
                                            const float* panel, Vec (&sum)[R][T]) {
  const uint8_t* const data = w.data + tile * w.tile_bytes;
  const int32_t first = group == 0 ? 0 : w.group_ends[group - 1];
  for (int r = 0; r < R; ++r) {
    for (int t = 0; t < T; ++t) sum[r][t] = Zero();
  }
  for (int32_t s = first; s < w.group_ends[group]; ++s) {
    const int32_t begin = s == 0 ? 0 : w.segment_ends[s - 1];
    const int64_t pairs = s == 0 ? 0 : w.segment_pairs[s - 1];
    Vec zero[T], raw[R][T];
    for (int t = 0; t < T; ++t) {
      if constexpr (W::kZeros) {
        zero[t] = Load(w.zeros + (int64_t{tile + t} * w.segments + s) * 16);
      }
      for (int r = 0; r < R; ++r) raw[r][t] = Zero();
    }
    SumSegment<W, R, T>(data + pairs * W::kPairBytes, w.tile_bytes, zero,
                        panel + int64_t{begin} * R, w.segment_ends[s] - begin, raw);
    for (int t = 0; t < T; ++t) {
      if constexpr (W::kScaled) {
        const Vec scale = LoadScale(w, tile + t, s);
        for (int r = 0; r < R; ++r) sum[r][t] = Fma(raw[r][t], scale, sum[r][t]);
      } else {
        for (int r = 0; r < R; ++r) sum[r][t] = Add(raw[r][t], sum[r][t]);
      }
    }
  }
}

template <typename W, int R, int T>
void MatmulBlock(const TileView& w, int32_t tile, const float* panel, float* out, int64_t stride) {
  Vec sums[kMaxGroups][R][T];
  for (int32_t g = 0; g < w.groups; ++g) {
    Vec sum[R][T];
    GroupSum<W, R, T>(w, tile, g, panel, sum);
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
    for (int r = 0; r < R; ++r) StoreTile(w, tile + t, sums[0][r][t], out + r * stride);
  }
}

// Where the rows of a panel go in matmul_accumulate.
struct AccumulateRows {
  const float* weights;
  const int32_t* ids;
  float* partial;
  int64_t stride;
};

template <typename W, int R, int T>
void AccumulateBlock(const TileView& w, int32_t tile, int32_t first_tile, const float* panel,
                     const AccumulateRows& to) {
  for (int32_t g = 0; g < w.groups; ++g) {
    Vec sum[R][T];
    GroupSum<W, R, T>(w, tile, g, panel, sum);
    for (int r = 0; r < R; ++r) {
      const Vec weight = Set1(to.weights[r]);
      float* p =
          to.partial + to.ids[r] * to.stride + (g * kTilesPerRun + tile - first_tile) * int64_t{16};
      for (int t = 0; t < T; ++t) Store(p + t * 16, Fma(weight, sum[r][t], Load(p + t * 16)));
    }
  }
}

template <typename W, int R, int T>
void MatmulTiles(const TileView& w, int32_t tile, int32_t end, const float* panel, float* out,
                 int64_t stride) {
  for (; tile + T <= end; tile += T) MatmulBlock<W, R, T>(w, tile, panel, out, stride);
  for (; tile < end; ++tile) MatmulBlock<W, R, 1>(w, tile, panel, out, stride);
}

template <typename W, int R, int T>
void AccumulateTiles(const TileView& w, int32_t tile, int32_t end, const float* panel,
                     const AccumulateRows& to) {
  const int32_t first = tile;
  for (; tile + T <= end; tile += T) AccumulateBlock<W, R, T>(w, tile, first, panel, to);
  for (; tile < end; ++tile) AccumulateBlock<W, R, 1>(w, tile, first, panel, to);
}

template <typename W>
void MatmulPanel(const TileView& w, int32_t tile, int32_t end, PanelView x, float* out,
                 int64_t stride) {
  const float* panel = static_cast<const float*>(x.data);
  switch (x.rows) {
#define VALLM_CASE(R, T) \
  case R:                \
    return MatmulTiles<W, R, T>(w, tile, end, panel, out, stride);
    VALLM_KERNEL_SHAPES(VALLM_CASE)
#undef VALLM_CASE
  }
  __builtin_trap();  // not one of panel_sizes
}

template <typename W>
void AccumulatePanel(const TileView& w, int32_t tile, int32_t end, PanelView x,
                     const AccumulateRows& to) {
  const float* panel = static_cast<const float*>(x.data);
  switch (x.rows) {
#define VALLM_CASE(R, T) \
  case R:                \
    return AccumulateTiles<W, R, T>(w, tile, end, panel, to);
    VALLM_KERNEL_SHAPES(VALLM_CASE)
#undef VALLM_CASE
  }
  __builtin_trap();  // not one of panel_sizes
}

// Calls f with the Weights of the type.
template <typename F>
void WithWeights(WeightType type, const F& f) {
  switch (type) {
    case WeightType::kBf16:
      return f(Weights<WeightType::kBf16>{});
    case WeightType::kF16:
      return f(Weights<WeightType::kF16>{});
    case WeightType::kF8E4m3:
      return f(Weights<WeightType::kF8E4m3>{});
    case WeightType::kUint8:
      return f(Weights<WeightType::kUint8>{});
    case WeightType::kUint4:
      return f(Weights<WeightType::kUint4>{});
  }
}

int64_t PanelBytes(const TileView& w, int32_t rows) {
  return (int64_t{w.k} * rows * 4 + 63) / 64 * 64;
}

void PackPanel(const TileView& w, const float* const* rows, int32_t count, void* panel) {
  float* to = static_cast<float*>(panel);
  for (int32_t k = 0; k < w.k; ++k) {
    for (int32_t r = 0; r < count; ++r) *to++ = rows[r][k];
  }
}

int64_t ScratchBytes(const TileView& /*w*/, int32_t /*tiles*/, int32_t /*rows*/) { return 0; }

void Matmul(const TileView& w, int32_t tile, int32_t tiles, PanelList x, float* out,
            int64_t out_stride, void* /*scratch*/) {
  for (int32_t i = 0; i < x.count; ++i) {
    const PanelView panel = x.panels[i];
    const auto run = [&](auto weights) {
      MatmulPanel<decltype(weights)>(w, tile, tile + tiles, panel, out, out_stride);
    };
    WithWeights(w.type, run);
    out += panel.rows * out_stride;
  }
}

void MatmulAccumulate(const TileView& w, int32_t tile, int32_t tiles, PanelList x,
                      const float* row_weights, const int32_t* row_ids, float* partial,
                      int64_t stride, const uint8_t* /*next*/, void* /*scratch*/) {
  for (int32_t i = 0; i < x.count; ++i) {
    const PanelView panel = x.panels[i];
    const auto run = [&](auto weights) {
      AccumulatePanel<decltype(weights)>(w, tile, tile + tiles, panel,
                                         {row_weights, row_ids, partial, stride});
    };
    WithWeights(w.type, run);
    row_weights += panel.rows;
    row_ids += panel.rows;
  }
}

}  // namespace
}  // namespace vallm::engine
