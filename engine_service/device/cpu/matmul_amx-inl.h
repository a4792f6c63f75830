// Matrix kernels over AMX: a tile multiplication adds the products of 16 rows of BF16 input and 16
// output features over 32 input features to 16 x 16 floats. tile_operands_amx-inl.h says how
// activations and weights become BF16.
//
//   chunk        32 input features of a segment, the last one filled up with zeros
//   part sum     p = 0; for chunks ascending: p += (even features, added one by one from zero)
//                + (odd features, likewise); subnormals count as zero; f16 does this for each half
//                of a chunk's weights in turn
//   segment sum  s = the sum over the parts, smallest first
//   group sum, row: as in matmul-inl.h
//
// Rows of a tile don't touch one another, so a row's bits do not depend on what it shares a tile
// with. Pinned by MatMulTest.AmxAddsInTheDocumentedOrder.
// No include guard: compiled once, after vec16_avx512.h, tiles-inl.h, tile_registers_amx-inl.h and
// tile_operands_amx-inl.h.

namespace vallm::engine {
namespace {

constexpr int kSegmentChunks = kMaxSegment / kChunk;
constexpr int32_t kPanelRows = 16 / kInputParts;  // of the largest panel
constexpr int kMaxTiles = 4;           // tiles of weights that one load of input is multiplied with
constexpr int32_t kTilesPerCall = 16;  // of many panels
// Of which one segment is in use at a time.
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

// Sums of 16 rows of input with T tiles of weights.
template <int T>
struct TileSums {
  alignas(64) float of[T][256];
};

template <int T>
[[gnu::always_inline]] inline void ZeroSums() {
  _tile_zero(0);
  if constexpr (T > 1) _tile_zero(1);
  if constexpr (T > 2) _tile_zero(2);
  if constexpr (T > 3) _tile_zero(3);
}

template <int T>
[[gnu::always_inline]] inline void StoreSums(TileSums<T>& sums) {
  StoreTileRegister<0>(sums.of[0]);
  if constexpr (T > 1) StoreTileRegister<1>(sums.of[1]);
  if constexpr (T > 2) StoreTileRegister<2>(sums.of[2]);
  if constexpr (T > 3) StoreTileRegister<3>(sums.of[3]);
}

// Adds the products of a chunk of input and of T tiles of weights to the sums.
template <typename W, int T>
[[gnu::always_inline]] inline void MultiplyChunk(const uint8_t* x, const uint8_t* const (&w)[T]) {
  LoadTile<4>(x);
  for (int64_t half = 0; half < kWeightTiles<W> * kTileBytes; half += kTileBytes) {
    LoadTile<5>(w[0] + half);
    _tile_dpbf16ps(0, 4, 5);
    if constexpr (T > 1) {
      LoadTile<6>(w[1] + half);
      _tile_dpbf16ps(1, 4, 6);
    }
    if constexpr (T > 2) {
      LoadTile<5>(w[2] + half);
      _tile_dpbf16ps(2, 4, 5);
    }
    if constexpr (T > 3) {
      LoadTile<6>(w[3] + half);
      _tile_dpbf16ps(3, 4, 6);
    }
  }
}

// Adds the sums of a panel's rows over a segment of T tiles to the group sums at `group`.
template <typename W, int T>
[[gnu::always_inline]] inline void AddSegment(const TileView& w, int32_t tile, int32_t segment,
                                              const TileSums<T>& sums, int32_t rows, bool first,
                                              float* group, int64_t stride) {
  Vec scale[T];
  for (int t = 0; t < T; ++t) {
    if constexpr (W::kScaled) scale[t] = LoadScale(w, tile + t, segment);
  }
  for (int32_t r = 0; r < rows; ++r) {
    for (int t = 0; t < T; ++t) {
      const float* of_row = sums.of[t] + r * kInputParts * 16;
      Vec sum = Load(of_row + (kInputParts - 1) * 16);
      for (int part = kInputParts - 2; part >= 0; --part) sum = Add(Load(of_row + part * 16), sum);
      float* to = group + r * stride + t * 16;
      const Vec before = first ? Zero() : Load(to);
      Store(to, W::kScaled ? Fma(sum, scale[t], before) : Add(sum, before));
    }
  }
}

// ---- One panel: there is little to multiply, and weights are read in the order of memory.

// The chunks of T tiles of weights, one after the other.
template <typename W, int T>
class ChunkStream {
 public:
  // `next`: where the first tile lies that is multiplied with after these, or null.
  ChunkStream(const TileView& w, int32_t tile, const uint8_t* next)
      : segments_(w.segments),
        segment_pairs_(w.segment_pairs),
        zeros_(w.zeros == nullptr ? nullptr : w.zeros + int64_t{tile} * w.segments * 16),
        tile_bytes_(w.tile_bytes),
        next_(w.data + tile * w.tile_bytes),
        end_(next_ + w.tile_bytes),
        gap_(next == nullptr ? 0 : next - end_),
        pairs_left_(w.segment_pairs[0]) {}

  // Makes the next chunk ready in `slot`, 0 or 1; nothing after the last one.
  [[gnu::always_inline]] void Prepare(int slot) {
    if (segment_ == segments_) return;
    const int32_t pairs = pairs_left_ < 16 ? pairs_left_ : 16;
    const int64_t ahead = kPrefetchBytes + (end_ - next_ <= kPrefetchBytes ? gap_ : 0);
    for (int t = 0; t < T; ++t) {
      const typename W::Zeros zeros(
          zeros_ == nullptr ? nullptr : zeros_ + (int64_t{t} * segments_ + segment_) * 16);
      weights_[slot][t] =
          PrepareChunk<W>(next_ + t * tile_bytes_, pairs, zeros, ahead, buffers_[slot][t]);
    }
    next_ += pairs * W::kPairBytes;
    pairs_left_ -= pairs;
    if (pairs_left_ == 0 && ++segment_ < segments_) {
      pairs_left_ = segment_pairs_[segment_] - segment_pairs_[segment_ - 1];
    }
  }
  const uint8_t* const (&weights(int slot) const)[T] { return weights_[slot]; }

 private:
  const int32_t segments_;
  const int32_t* const segment_pairs_;
  const float* const zeros_;
  const int64_t tile_bytes_;
  const uint8_t* next_;       // of the first tile
  const uint8_t* const end_;  // of the first tile
  const int64_t gap_;         // from there to the next first tile
  int32_t segment_ = 0;
  int32_t pairs_left_;  // of the segment
  const uint8_t* weights_[2][T];
  alignas(64) uint8_t buffers_[2][T][kWeightTiles<W> * kTileBytes];
};

// Group sums of the one panel of `x` with tiles [tile, tile + T): each to sums_of(), [rows][T *
// 16], whereupon done(group) is called. Bytes that were just written are slow to load as a tile,
// and those of a tile as vectors: so a chunk's weights are converted before the chunk before is
// multiplied with, and a segment's sums are added when the next segment has begun.
template <typename W, int T, typename SumsOf, typename Done>
[[gnu::always_inline]] inline void MultiplyInOrder(const TileView& w, int32_t tile,
                                                   const uint8_t* next, PanelList x,
                                                   const SumsOf& sums_of, const Done& done) {
  const int32_t rows = x.panels[0].rows;
  const auto* panel = static_cast<const uint8_t*>(x.panels[0].data);
  TileSums<T> sums[2];
  int32_t group = 0;
  bool first = true;  // segment of its group
  const auto add = [&](int32_t segment) {
    AddSegment<W, T>(w, tile, segment, sums[segment % 2], rows, first, sums_of(), T * 16);
    first = segment + 1 == w.group_ends[group];
    if (first) done(group++);
  };
  ChunkStream<W, T> stream(w, tile, next);
  stream.Prepare(0);
  int slot = 0;
  int32_t feature = 0;
  for (int32_t s = 0; s < w.segments; ++s) {
    const int32_t chunks = Chunks(w.segment_ends[s] - feature);
    feature = w.segment_ends[s];
    ZeroSums<T>();
    for (int32_t c = 0; c < chunks; ++c, slot ^= 1) {
      stream.Prepare(slot ^ 1);
      MultiplyChunk<W, T>(panel, stream.weights(slot));
      panel += rows * kInputParts * 64;
      if (c == 0 && s > 0) add(s - 1);
    }
    StoreSums(sums[s % 2]);
  }
  add(w.segments - 1);
}

template <int N>
struct Constant {
  static constexpr int value = N;
};

// Calls f(tile, T, next) with T a constant for tiles [tile, end), as many at a time as go together;
// `next` is where the weights after them lie, those after the last are at `after`.
template <typename F>
[[gnu::always_inline]] inline void ForTilesInOrder(const TileView& w, int32_t tile, int32_t end,
                                                   const uint8_t* after, const F& f) {
  const auto at = [&](int32_t t) { return t < end ? w.data + t * w.tile_bytes : after; };
  for (; tile + kMaxTiles <= end; tile += kMaxTiles) {
    f(tile, Constant<kMaxTiles>(), at(tile + kMaxTiles));
  }
  for (; tile < end; ++tile) f(tile, Constant<1>(), at(tile + 1));
}

// ---- Many panels: weights are converted once for all of them.

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
  PreparedSegment(const TileView& w, int32_t tile, const SegmentPlace& s) {
    for (int t = 0; t < T; ++t) {
      const typename W::Zeros zeros(
          w.zeros == nullptr ? nullptr : w.zeros + (int64_t{tile + t} * w.segments + s.index) * 16);
      const uint8_t* from =
          w.data + (tile + t) * w.tile_bytes + int64_t{s.pair_begin} * W::kPairBytes;
      for (int32_t c = 0; c < s.chunks; ++c) {
        const int32_t left = s.pair_end - s.pair_begin - c * 16;
        weights[c][t] = PrepareChunk<W>(from + c * 16 * W::kPairBytes, left < 16 ? left : 16, zeros,
                                        kPrefetchBytes, buffers[c][t]);
      }
    }
  }

  const uint8_t* weights[kSegmentChunks][T];
  alignas(64) uint8_t buffers[kSegmentChunks][T][kWeightTiles<W> * kTileBytes];
};

// Adds segment `s` of tiles [tile, tile + T) to the group sums of all panels' rows.
template <typename W, int T>
void MultiplySegment(const TileView& w, int32_t tile, const SegmentPlace& s, PanelList x,
                     float* group, int64_t stride) {
  const PreparedSegment<W, T> prepared(w, tile, s);
  TileSums<T> sums;
  for (int32_t i = 0; i < x.count; ++i) {
    const int32_t rows = x.panels[i].rows;
    const int64_t chunk_bytes = int64_t{rows} * kInputParts * 64;
    const auto* panel = static_cast<const uint8_t*>(x.panels[i].data) + s.chunk_begin * chunk_bytes;
    ZeroSums<T>();
    for (int32_t c = 0; c < s.chunks; ++c) {
      MultiplyChunk<W, T>(panel + c * chunk_bytes, prepared.weights[c]);
    }
    StoreSums(sums);
    AddSegment<W, T>(w, tile, s.index, sums, rows, s.first, group, stride);
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
      MultiplySegment<W, kMaxTiles>(w, t, place, x, sums + (t - tile) * 16, stride);
    }
    for (; t < end; ++t) {
      MultiplySegment<W, 1>(w, t, place, x, sums + (t - tile) * 16, stride);
    }
    chunk_begin += place.chunks;
  }
  return chunk_begin;
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
  const bool one_panel = rows <= kPanelRows;
  if (one_panel && tiles > kMaxTiles) tiles = kMaxTiles;
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
  ForTilesInOrder(w, tile, end, nullptr, [&](int32_t first, auto count, const uint8_t* next) {
    constexpr int T = decltype(count)::value;
    GroupTree tree(scratch, rows * int64_t{T} * 16);
    MultiplyInOrder<W, T>(
        w, first, next, x, [&] { return tree.next(); }, [&](int32_t group) { tree.Add(group); });
    const float* sums = tree.Take();
    for (int32_t r = 0; r < rows; ++r) {
      for (int t = 0; t < T; ++t, sums += 16) {
        StoreTile(w, first + t, Load(sums), out + r * out_stride);
      }
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
                      int64_t stride, const uint8_t* next, void* scratch) {
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
      ForTilesInOrder(
          w, tile, tile + tiles, next, [&](int32_t first, auto count, const uint8_t* then) {
            constexpr int T = decltype(count)::value;
            MultiplyInOrder<W, T>(
                w, first, then, x, [&] { return sums; },
                [&](int32_t group) { add(group, T * 16, (first - tile) * int64_t{16}); });
          });
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
