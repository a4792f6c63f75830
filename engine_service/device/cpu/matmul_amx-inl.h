// Matrix kernels over AMX: a tile multiplication adds the products of 16 rows of BF16 input and 16
// output features over 32 input features to 16 x 16 floats.
//
// Activations are floats. Each is written as the sum of kInputParts numbers in BF16, and the parts
// are rows of their own: the hardware then multiplies exactly and adds in float, and a row of
// activations keeps 8 * kInputParts bits. Weights are converted to BF16, exactly: e4m3 and integers
// less their zero point have 8 bits or fewer, f16 is the sum of two.
//
//   chunk        32 input features of a segment, the last one filled up with zeros
//   part sum     p = 0; for chunks ascending: p += (even features, added one by one from zero)
//                + (odd features, likewise); subnormals count as zero
//   segment sum  s = the sum over the parts, smallest first
//   group sum, row: as in matmul-inl.h
//
// Rows of a tile don't touch one another, so a row's bits do not depend on what it shares a tile
// with. Pinned by MatMulTest.AmxAddsInTheDocumentedOrder.
// No include guard: compiled once, after vec16_avx512.h, tiles-inl.h and
// tile_config_amx-inl.h.

namespace vallm::engine {
namespace {

constexpr int kInputParts = 3;
constexpr int kChunk = 32;           // input features per tile multiplication
constexpr int kTileBytes = 16 * 64;  // 16 rows of 32 BF16, or of 16 floats
constexpr int kSegmentChunks = kMaxSegment / kChunk;
constexpr int32_t kTilesPerCall = 16;
constexpr int64_t kPrefetchBytes = 2048;
constexpr int64_t kPanelBytesPerCall = int64_t{8}
                                       << 20;  // of which one segment is in use at a time

// Sets up the tiles for a call and releases them after it: 0 to 3 hold sums and 4 input, which have
// `rows` rows; 5 and 6 hold weights.
class TileScope {
 public:
  explicit TileScope(int32_t rows) {
    TileConfig config;
    for (int tile = 0; tile < 5; ++tile) config.rows[tile] = static_cast<uint8_t>(rows);
    LoadTileConfig(config);
  }
  ~TileScope() { _tile_release(); }
};

inline int32_t Chunks(int32_t features) { return (features + kChunk - 1) / kChunk; }

// ---- Input

inline __m512i ToBf16(Vec low, Vec high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high.v, low.v));
}
inline Vec LowBf16(__m512i both) {
  return {_mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(both)), 16))};
}
inline Vec HighBf16(__m512i both) {
  return {_mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(both, 1)), 16))};
}

// Writes the parts of 32 floats to rows of 64 bytes, the largest first.
inline void StoreParts(Vec low, Vec high, uint8_t* rows) {
  for (int part = 0; part < kInputParts; ++part) {
    const __m512i rounded = ToBf16(low, high);
    _mm512_store_si512(rows + part * 64, rounded);
    low = Sub(low, LowBf16(rounded));
    high = Sub(high, HighBf16(rounded));
  }
}

// A panel holds, chunk by chunk over all segments, rows * kInputParts rows of a tile. A kernel may
// load a whole tile where there are fewer rows; what lies behind is memory, and its sums are
// dropped.
int64_t PanelBytes(const TileView& w, int32_t rows) {
  int64_t chunks = 0;
  for (int32_t s = 0; s < w.segments; ++s) {
    chunks += Chunks(w.segment_ends[s] - (s == 0 ? 0 : w.segment_ends[s - 1]));
  }
  return chunks * rows * kInputParts * 64 + kTileBytes;
}

void PackPanel(const TileView& w, const float* const* rows, int32_t count, void* panel) {
  auto* to = static_cast<uint8_t*>(panel);
  int32_t k = 0;
  for (int32_t s = 0; s < w.segments; ++s) {
    for (const int32_t end = w.segment_ends[s]; k < end;) {
      const int32_t features = end - k < kChunk ? end - k : kChunk;
      for (int32_t r = 0; r < count; ++r) {
        const float* x = rows[r] + k;
        const Vec low = LoadFirst(x, features < 16 ? features : 16);
        const Vec high = features > 16 ? LoadFirst(x + 16, features - 16) : Zero();
        StoreParts(low, high, to);
        to += kInputParts * 64;
      }
      k += features;
    }
  }
}

// ---- Weights

// How the weights of one format become BF16. kSplit: in two parts, the second in a row of its own.
template <WeightType>
struct AmxWeights;

template <>
struct AmxWeights<WeightType::kBf16> {
  static constexpr int kPairBytes = 64;
  static constexpr bool kScaled = false, kSplit = false;
  struct Zeros {
    explicit Zeros(const float*) {}
  };
  static __m512i Convert(const uint8_t* p, const Zeros&) { return _mm512_loadu_si512(p); }
};

template <>
struct AmxWeights<WeightType::kF16> {
  static constexpr int kPairBytes = 64;
  static constexpr bool kScaled = false, kSplit = true;
  struct Zeros {
    explicit Zeros(const float*) {}
  };
  static void Split(const uint8_t* p, __m512i& first, __m512i& second) {
    const __m512i raw = _mm512_loadu_si512(p);
    const Vec low = {_mm512_cvtph_ps(_mm512_castsi512_si256(raw))};
    const Vec high = {_mm512_cvtph_ps(_mm512_extracti64x4_epi64(raw, 1))};
    first = ToBf16(low, high);
    second = ToBf16(Sub(low, LowBf16(first)), Sub(high, HighBf16(first)));
  }
};

template <>
struct AmxWeights<WeightType::kF8E4m3> {
  static constexpr int kPairBytes = 32;
  static constexpr bool kScaled = true, kSplit = false;
  struct Zeros {
    explicit Zeros(const float*) {}
  };
  // Times 2^-8, as the scales expect. Exponent and mantissa move under BF16's; the new exponent is
  // the old one (less than 16) plus 112, which is the same as or. Subnormals, which have no hidden
  // bit, come from a table of the eight there are.
  static __m512i Convert(const uint8_t* p, const Zeros&) {
    const __m512i raw = _mm512_cvtepi8_epi16(LoadRaw256(p));
    constexpr int kAndThenOr = 0xea;  // (first & second) | third
    const __m512i normal =
        _mm512_ternarylogic_epi32(_mm512_slli_epi16(raw, 4), _mm512_set1_epi16(0x07f0),
                                  _mm512_set1_epi16((127 - 7 - 8) << 7), kAndThenOr);
    const __mmask32 subnormal = _mm512_testn_epi16_mask(raw, _mm512_set1_epi16(0x78));
    // 0, 1, … 7 times 2^-17 in BF16, for the low three bits of raw; vpermw reads five.
    const __m512i table = _mm512_broadcast_i32x4(
        _mm_setr_epi16(0, 0x3700, 0x3780, 0x37c0, 0x3800, 0x3820, 0x3840, 0x3860));
    const __m512i value = _mm512_mask_permutexvar_epi16(normal, subnormal, raw, table);
    constexpr int kFirstWhereSecond = 0xe2;  // second ? first : third
    return _mm512_ternarylogic_epi32(raw, _mm512_set1_epi16(static_cast<short>(0x8000)), value,
                                     kFirstWhereSecond);
  }
};

template <>
struct AmxWeights<WeightType::kUint8> {
  static constexpr int kPairBytes = 32;
  static constexpr bool kScaled = true, kSplit = false;
  struct Zeros {
    explicit Zeros(const float* p) : lanes(_mm512_cvtps_epi32(_mm512_loadu_ps(p))) {
      lanes = _mm512_or_si512(lanes, _mm512_slli_epi32(lanes, 16));
    }
    __m512i lanes;  // of both halves of a pair
  };
  static __m512i Convert(const uint8_t* p, const Zeros& zeros) {
    const __m512i q = _mm512_sub_epi16(_mm512_cvtepu8_epi16(LoadRaw256(p)), zeros.lanes);
    const __m512i low = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(q));
    const __m512i high = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(q, 1));
    return ToBf16({_mm512_cvtepi32_ps(low)}, {_mm512_cvtepi32_ps(high)});
  }
};

template <>
struct AmxWeights<WeightType::kUint4> {
  static constexpr int kPairBytes = 16;
  static constexpr bool kScaled = true, kSplit = false;
  using Zeros = AmxWeights<WeightType::kUint8>::Zeros;
  static __m512i Convert(const uint8_t* p, const Zeros& zeros) {
    const __m512i raw = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    const __m512i q =
        _mm512_or_si512(_mm512_and_si512(raw, _mm512_set1_epi32(15)),
                        _mm512_slli_epi32(_mm512_and_si512(raw, _mm512_set1_epi32(0xf0)), 12));
    // -16 … 15 in BF16, by the low five bits of q - zero.
    alignas(64) static constexpr uint16_t kValues[32] = {
        0,      0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0, 0x4100, 0x4110, 0x4120,
        0x4130, 0x4140, 0x4150, 0x4160, 0x4170, 0xc180, 0xc170, 0xc160, 0xc150, 0xc140, 0xc130,
        0xc120, 0xc110, 0xc100, 0xc0e0, 0xc0c0, 0xc0a0, 0xc080, 0xc040, 0xc000, 0xbf80};
    return _mm512_permutexvar_epi16(_mm512_sub_epi16(q, zeros.lanes), _mm512_load_si512(kValues));
  }
};

// The weights of one tile and segment as whole tile registers of BF16, one chunk after the other:
// converts `pairs` pairs into `buffer`, which has room for kSegmentChunks of them, or twice that if
// the format is split. Weights that are BF16 already are used where they lie.
template <typename W>
inline const uint8_t* PrepareWeights(const uint8_t* p, int32_t pairs,
                                     const typename W::Zeros& zeros, uint8_t* buffer) {
  if constexpr (W::kPairBytes == 64 && !W::kSplit) {
    if (pairs % 16 == 0) {
      for (int32_t i = 0; i < pairs; ++i) _mm_prefetch(p + i * 64 + kPrefetchBytes, _MM_HINT_T0);
      return p;
    }
  }
  uint8_t* to = buffer;
  int32_t i = 0;
  for (; i < pairs; ++i, p += W::kPairBytes, to += 64) {
    // The window of out-of-order execution does not reach past the tiles of a segment.
    _mm_prefetch(p + kPrefetchBytes, _MM_HINT_T0);
    if constexpr (W::kSplit) {
      __m512i first, second;
      W::Split(p, first, second);
      _mm512_store_si512(to, first);
      _mm512_store_si512(to + kSegmentChunks * kTileBytes, second);
    } else {
      _mm512_store_si512(to, W::Convert(p, zeros));
    }
  }
  for (; i % 16 != 0; ++i, to += 64) {
    _mm512_store_si512(to, _mm512_setzero_si512());
    if constexpr (W::kSplit) {
      _mm512_store_si512(to + kSegmentChunks * kTileBytes, _mm512_setzero_si512());
    }
  }
  return buffer;
}

// ---- Products

constexpr int kMaxTiles = 4;  // tiles of weights that one load of input is multiplied with

// Sums of a panel times T tiles over the chunks of a segment: sums[t] are 16 x 16 floats.
template <int T>
[[gnu::always_inline]] inline void MultiplyChunks(const uint8_t* x, int64_t x_stride,
                                                  const uint8_t* const (&w)[kMaxTiles],
                                                  int32_t chunks, bool split,
                                                  float (&sums)[kMaxTiles][256]) {
  _tile_zero(0);
  if constexpr (T > 1) _tile_zero(1);
  if constexpr (T > 2) _tile_zero(2);
  if constexpr (T > 3) _tile_zero(3);
  for (int half = 0; half <= (split ? 1 : 0); ++half) {
    for (int32_t c = 0; c < chunks; ++c) {
      const int64_t at = (half * kSegmentChunks + c) * int64_t{kTileBytes};
      _tile_loadd(4, x + c * x_stride, 64);
      _tile_loadd(5, w[0] + at, 64);
      _tile_dpbf16ps(0, 4, 5);
      if constexpr (T > 1) {
        _tile_loadd(6, w[1] + at, 64);
        _tile_dpbf16ps(1, 4, 6);
      }
      if constexpr (T > 2) {
        _tile_loadd(5, w[2] + at, 64);
        _tile_dpbf16ps(2, 4, 5);
      }
      if constexpr (T > 3) {
        _tile_loadd(6, w[3] + at, 64);
        _tile_dpbf16ps(3, 4, 6);
      }
    }
  }
  _tile_stored(0, sums[0], 64);
  if constexpr (T > 1) _tile_stored(1, sums[1], 64);
  if constexpr (T > 2) _tile_stored(2, sums[2], 64);
  if constexpr (T > 3) _tile_stored(3, sums[3], 64);
}

// Adds the segment sums of a panel's rows to the group sums at `group`.
template <typename W, int T>
[[gnu::always_inline]] inline void AddSegment(const float (&sums)[kMaxTiles][256], int32_t rows,
                                              const Vec (&scale)[T], bool first, float* group,
                                              int64_t stride) {
  for (int32_t r = 0; r < rows; ++r) {
    for (int t = 0; t < T; ++t) {
      Vec sum = Load(&sums[t][(r * kInputParts + kInputParts - 1) * 16]);
      for (int part = kInputParts - 2; part >= 0; --part) {
        sum = Add(Load(&sums[t][(r * kInputParts + part) * 16]), sum);
      }
      float* to = group + r * stride + t * 16;
      const Vec before = first ? Zero() : Load(to);
      if constexpr (W::kScaled) {
        Store(to, Fma(sum, scale[t], before));
      } else {
        Store(to, Add(sum, before));
      }
    }
  }
}

// Where a segment lies.
struct SegmentPlace {
  int32_t index;
  int32_t pair_begin;
  int32_t pair_end;
  int32_t chunk_begin;  // in a panel
  int32_t chunks;
  bool first;  // of its group
};

// One segment of T tiles of weights, ready to multiply with.
template <typename W, int T>
struct PreparedSegment {
  void Prepare(const TileView& w, int32_t tile, const SegmentPlace& s) {
    for (int t = 0; t < T; ++t) {
      const int64_t lanes = (int64_t{tile + t} * w.segments + s.index) * 16;
      const typename W::Zeros zeros(w.zeros == nullptr ? nullptr : w.zeros + lanes);
      weights[t] = PrepareWeights<W>(
          w.data + (tile + t) * w.tile_bytes + int64_t{s.pair_begin} * W::kPairBytes,
          s.pair_end - s.pair_begin, zeros, buffer[t]);
      if constexpr (W::kScaled) scale[t] = LoadScale(w, tile + t, s.index);
    }
  }

  alignas(64) uint8_t buffer[T][kSegmentChunks * kTileBytes * (W::kSplit ? 2 : 1)];
  const uint8_t* weights[kMaxTiles] = {};
  Vec scale[T];
};

// Adds segment `s` of T tiles to the group sums of all panels' rows.
template <typename W, int T>
void MultiplySegment(const PreparedSegment<W, T>& w, const SegmentPlace& s, PanelList x,
                     float* group, int64_t stride) {
  alignas(64) float sums[kMaxTiles][256];
  for (int32_t i = 0; i < x.count; ++i) {
    const int32_t rows = x.panels[i].rows;
    const int64_t chunk_bytes = int64_t{rows} * kInputParts * 64;
    const auto* panel = static_cast<const uint8_t*>(x.panels[i].data);
    MultiplyChunks<T>(panel + s.chunk_begin * chunk_bytes, chunk_bytes, w.weights, s.chunks,
                      W::kSplit, sums);
    AddSegment<W, T>(sums, rows, w.scale, s.first, group, stride);
    group += rows * stride;
  }
}

SegmentPlace PlaceOf(const TileView& w, int32_t group, int32_t segment, int32_t chunk_begin) {
  const int32_t features =
      w.segment_ends[segment] - (segment == 0 ? 0 : w.segment_ends[segment - 1]);
  return {.index = segment,
          .pair_begin = segment == 0 ? 0 : w.segment_pairs[segment - 1],
          .pair_end = w.segment_pairs[segment],
          .chunk_begin = chunk_begin,
          .chunks = Chunks(features),
          .first = segment == (group == 0 ? 0 : w.group_ends[group - 1])};
}

// Group sums of all rows for tiles [tile, end) to `sums`, [rows][stride]. `chunk_begin` is the
// group's first chunk; returns that of the next group.
template <typename W>
int32_t MultiplyGroup(const TileView& w, int32_t tile, int32_t end, int32_t group,
                      int32_t chunk_begin, PanelList x, float* sums, int64_t stride) {
  for (int32_t s = group == 0 ? 0 : w.group_ends[group - 1]; s < w.group_ends[group]; ++s) {
    const SegmentPlace place = PlaceOf(w, group, s, chunk_begin);
    int32_t t = tile;
    for (; t + kMaxTiles <= end; t += kMaxTiles) {
      PreparedSegment<W, kMaxTiles> weights;
      weights.Prepare(w, t, place);
      MultiplySegment(weights, place, x, sums + (t - tile) * 16, stride);
    }
    for (; t < end; ++t) {
      PreparedSegment<W, 1> weights;
      weights.Prepare(w, t, place);
      MultiplySegment(weights, place, x, sums + (t - tile) * 16, stride);
    }
    chunk_begin += place.chunks;
  }
  return chunk_begin;
}

// Group sums of the one panel of `x` with tiles [tile, end): each to sums_of(), [rows][16],
// whereupon done(tile, group) is called. There is little to multiply, so all goes in the order of
// memory, and the weights of the next segment are converted before this one is multiplied with, as
// tiles are not loaded from memory that is being written.
template <typename W, typename SumsOf, typename Done>
void MultiplyInOrder(const TileView& w, int32_t tile, int32_t end, PanelList x,
                     const SumsOf& sums_of, const Done& done) {
  // Not one variable that is assigned: a copy is read in wider pieces than it was written in, and
  // that waits until all the stores of weights before it are done.
  SegmentPlace places[2];
  PreparedSegment<W, 1> weights[2];
  int32_t group = 0;
  places[0] = PlaceOf(w, 0, 0, 0);
  weights[0].Prepare(w, tile, places[0]);
  for (int now = 0; tile < end; now ^= 1) {
    const SegmentPlace& place = places[now];
    const bool group_ends = place.index + 1 == w.group_ends[group];
    const bool tile_ends = place.index + 1 == w.segments;
    const int32_t next_tile = tile_ends ? tile + 1 : tile;
    const int32_t next_group = tile_ends ? 0 : group_ends ? group + 1 : group;
    places[now ^ 1] = PlaceOf(w, next_group, tile_ends ? 0 : place.index + 1,
                              tile_ends ? 0 : place.chunk_begin + place.chunks);
    if (next_tile < end) weights[now ^ 1].Prepare(w, next_tile, places[now ^ 1]);
    MultiplySegment(weights[now], place, x, sums_of(), 16);
    if (group_ends) done(tile, group);
    tile = next_tile;
    group = next_group;
  }
}

int32_t TotalRows(PanelList x) {
  int32_t rows = 0;
  for (int32_t i = 0; i < x.count; ++i) rows += x.panels[i].rows;
  return rows;
}

// Rows of the tile registers: all of them where panels follow one another.
int32_t TileRows(PanelList x) { return x.count == 1 ? x.panels[0].rows * kInputParts : 16; }

// The balanced tree over groups needs one more sum than it has levels.
int64_t ScratchBytes(const TileView& w, int32_t tiles, int32_t rows) {
  int64_t sums = 1;
  for (int32_t groups = w.groups; groups > 1; groups /= 2) ++sums;
  return sums * rows * tiles * 16 * 4;
}

// The balanced tree over groups, as their sums come: those that wait for their partner lie one
// after the other.
class GroupTree {
 public:
  // `size` is that of a group's sums, `scratch` as ScratchBytes says.
  GroupTree(float* scratch, int64_t size) : scratch_(scratch), size_(size) {}

  // Where the next group's sums go, and the last one's result is.
  float* next() const { return scratch_ + depth_ * size_; }
  // Group number `group` is there.
  void Add(int32_t group) {
    ++depth_;
    for (int32_t done = group + 1; done % 2 == 0; done /= 2, --depth_) {
      float* left = scratch_ + (depth_ - 2) * size_;
      for (int64_t i = 0; i < size_; i += 16) {
        Store(left + i, engine::Add(Load(left + i), Load(left + size_ + i)));
      }
    }
  }
  // The result, after the last group.
  const float* Take() {
    depth_ = 0;
    return scratch_;
  }

 private:
  float* const scratch_;
  const int64_t size_;
  int depth_ = 0;
};

// Of the one panel of `x`.
template <typename W>
void MatmulInOrder(const TileView& w, int32_t tile, int32_t end, PanelList x, float* out,
                   int64_t out_stride, float* scratch) {
  const int32_t rows = x.panels[0].rows;
  GroupTree tree(scratch, rows * int64_t{16});
  MultiplyInOrder<W>(
      w, tile, end, x, [&] { return tree.next(); },
      [&](int32_t t, int32_t group) {
        tree.Add(group);
        if (group + 1 < w.groups) return;
        const float* sums = tree.Take();
        for (int32_t r = 0; r < rows; ++r) {
          StoreTile(w, t, Load(sums + r * 16), out + r * out_stride);
        }
      });
}

// All tiles take a segment of the input while that is in the cache.
template <typename W>
void MatmulTiles(const TileView& w, int32_t tile, int32_t end, PanelList x, float* out,
                 int64_t out_stride, float* scratch) {
  const int64_t stride = (end - tile) * int64_t{16};
  const int64_t rows = TotalRows(x);
  GroupTree tree(scratch, rows * stride);
  int32_t chunk = 0;
  for (int32_t g = 0; g < w.groups; ++g) {
    chunk = MultiplyGroup<W>(w, tile, end, g, chunk, x, tree.next(), stride);
    tree.Add(g);
  }
  const float* sums = tree.Take();
  for (int64_t r = 0; r < rows; ++r) {
    for (int32_t t = tile; t < end; ++t) {
      StoreTile(w, t, Load(sums + r * stride + (t - tile) * 16), out + r * out_stride);
    }
  }
}

// Calls f with the AmxWeights of the type.
template <typename F>
void WithWeights(WeightType type, const F& f) {
  switch (type) {
    case WeightType::kBf16:
      return f(AmxWeights<WeightType::kBf16>{});
    case WeightType::kF16:
      return f(AmxWeights<WeightType::kF16>{});
    case WeightType::kF8E4m3:
      return f(AmxWeights<WeightType::kF8E4m3>{});
    case WeightType::kUint8:
      return f(AmxWeights<WeightType::kUint8>{});
    case WeightType::kUint4:
      return f(AmxWeights<WeightType::kUint4>{});
  }
}

void Matmul(const TileView& w, int32_t tile, int32_t tiles, PanelList x, float* out,
            int64_t out_stride, void* scratch) {
  const TileScope scope(TileRows(x));
  WithWeights(w.type, [&](auto weights) {
    using W = decltype(weights);
    // With one panel the weights count, with many the input.
    const auto multiply = x.count == 1 ? MatmulInOrder<W> : MatmulTiles<W>;
    multiply(w, tile, tile + tiles, x, out, out_stride, static_cast<float*>(scratch));
  });
}

void MatmulAccumulate(const TileView& w, int32_t tile, int32_t tiles, PanelList x,
                      const float* row_weights, const int32_t* row_ids, float* partial,
                      int64_t stride, void* scratch) {
  const TileScope scope(TileRows(x));
  const int64_t rows = TotalRows(x);
  float* const sums = static_cast<float*>(scratch);
  // Those of `group`, [rows][width], to the columns from `column` on.
  const auto add = [&](int32_t group, int64_t width, int64_t column) {
    for (int64_t r = 0; r < rows; ++r) {
      const Vec weight = Set1(row_weights[r]);
      float* to = partial + row_ids[r] * stride + group * int64_t{kTilesPerRun * 16} + column;
      for (int64_t i = 0; i < width; i += 16) {
        Store(to + i, Fma(weight, Load(sums + r * width + i), Load(to + i)));
      }
    }
  };
  WithWeights(w.type, [&](auto weights) {
    using W = decltype(weights);
    if (x.count == 1) {
      MultiplyInOrder<W>(
          w, tile, tile + tiles, x, [&] { return sums; },
          [&](int32_t t, int32_t group) { add(group, 16, (t - tile) * int64_t{16}); });
      return;
    }
    const int64_t width = tiles * int64_t{16};
    int32_t chunk = 0;
    for (int32_t g = 0; g < w.groups; ++g) {
      chunk = MultiplyGroup<W>(w, tile, tile + tiles, g, chunk, x, sums, width);
      add(g, width, 0);
    }
  });
}

}  // namespace
}  // namespace vallm::engine
