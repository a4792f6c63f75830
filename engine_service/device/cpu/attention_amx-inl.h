// Attention on AMX tiles, for up to 256 rows (token, head) that share a KV head.
//
// Every f32 operand is a sum of bf16 parts: x0 = bf16(x), x1 = bf16(x - x0), x2 = bf16(x - x0 -
// x1), which leaves nothing of a float's 24 bits. A tile product multiplies bf16 exactly and adds
// in f32. With an f32 cache all products of parts count that reach above a float's precision, a0
// b2, a0 b1, a0 b0, a2 b0, a1 b0, a1 b1; keys and values of a narrower cache are one part, and for
// them two parts of queries and weights do: a0 b0, a1 b0. In this order per 32 terms, into one
// accumulator.
//
// Blocks of 64 positions at a time, begun at multiples of 64: the block's keys and values are put
// in tile order once for all rows ("staged"), then per group of 32 rows scores, one step of the
// running softmax of attention-inl.h, and weighted values:
//   s = sum over 32 features each of q x k
//   o = o * decay, then sum over 32 positions each of p x v
// Positions that a row does not see have p = 0, and their values are finite or replaced by zero. A
// row of a tile product depends on that row of the left operand alone, and adding zeros changes no
// bit but the sign of zero, which is dropped at the end; so sharing a call changes no bits.
// No include guard: compiled once, after vec16_avx512.h, pointwise-inl.h and attention-inl.h.

namespace vallm::engine {
namespace {

constexpr int kStaged = 64;       // positions of a block
constexpr int kTileWords = 512;   // bf16 elements of a tile, 16 rows of 32
constexpr int kTileFloats = 256;  // f32 elements of a tile, 16 rows of 16
constexpr int kGroupRows = 32;    // rows that go through a block together: two tiles

struct TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// Tiles 0-3 accumulate and 4-5 hold left operands, `rows` rows each; 6-7 hold right operands.
inline void ConfigureTiles(int rows) {
  alignas(64) TileConfig config;
  for (int tile = 0; tile < 8; ++tile) {
    config.row_bytes[tile] = 64;
    config.rows[tile] = static_cast<uint8_t>(tile < 6 ? rows : 16);
  }
  // GCC 12's intrinsic names only the first bytes as its input.
  asm volatile("" ::"r"(&config) : "memory");
  _tile_loadconfig(&config);
}

// The working memory of a call, all of it in tile order, carved from AttentionRows::scratch. The
// index is the part, the largest first.
struct Staging {
  uint16_t* q[3];  // [row tile][head_dim / 32][16 rows][32]
  float* o;        // [row tile][head_dim / 16][16 rows][16]
  uint16_t* k[3];  // [position / 16][head_dim / 32][16 feature pairs][16 positions][2]
  uint16_t* v[3];  // [position / 32][head_dim / 16][16 position pairs][16 features][2]
  float* s;        // [row tile of the group][position / 16][16 rows][16]
  uint16_t* p[3];  // [row tile of the group][position / 32][16 rows][32]
  float* saved;    // two copies of a group's part of o
};

template <typename T>
inline T* Carve(char*& at, int64_t count) {
  T* const part = reinterpret_cast<T*>(at);
  at += count * static_cast<int64_t>(sizeof(T));
  return part;
}

inline Staging CarveStaging(char* at, int32_t head_dim) {
  Staging out;
  for (uint16_t*& part : out.q) part = Carve<uint16_t>(at, kMaxAttentionRows * head_dim);
  out.o = Carve<float>(at, kMaxAttentionRows * head_dim);
  for (uint16_t*& part : out.k) part = Carve<uint16_t>(at, kStaged * head_dim);
  for (uint16_t*& part : out.v) part = Carve<uint16_t>(at, kStaged * head_dim);
  out.saved = Carve<float>(at, 2 * kGroupRows * head_dim);
  out.s = Carve<float>(at, kGroupRows * kStaged);
  for (uint16_t*& part : out.p) part = Carve<uint16_t>(at, kGroupRows * kStaged);
  return out;
}

int64_t AmxScratchBytes(int32_t head_dim) {
  constexpr int64_t kPerFeature =
      kMaxAttentionRows * (3 * 2 + 4) + kStaged * 3 * 2 * 2 + 2 * kGroupRows * 4;
  return kPerFeature * head_dim + kGroupRows * kStaged * (4 + 3 * 2);
}

// ---- Splitting and staging -------------------------------------------------------------------

// [a0 b0 a1 b1 ...] from [a0 .. a15 | b0 .. b15], 16-bit elements.
inline __m512i Interleave(__m512i halves) {
  const __m512i low =
      _mm512_set_epi32(0x001f000f, 0x001e000e, 0x001d000d, 0x001c000c, 0x001b000b, 0x001a000a,
                       0x00190009, 0x00180008, 0x00170007, 0x00160006, 0x00150005, 0x00140004,
                       0x00130003, 0x00120002, 0x00110001, 0x00100000);
  return _mm512_permutexvar_epi16(low, halves);
}

// Nearest bf16 of a, then of b; subnormal floats count as zero, as they do to tiles.
inline __m512i ToBf16x2(__m512 a, __m512 b) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a));
}

inline __m512 LowHalves(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
inline __m512 HighHalves(__m512i pairs) {
  const __m512i mask = _mm512_set1_epi32(static_cast<int>(0xffff0000));
  return _mm512_castsi512_ps(_mm512_and_si512(pairs, mask));
}

// One row of a staged tile, pairs (a[i], b[i]), from 16 cache elements at a and at b. A null b
// stands for zeros.
template <int Parts>
inline void StagePair(const float* a, const float* b, uint16_t* const* to, int64_t at) {
  __m512 x = _mm512_loadu_ps(a);
  __m512 y = b == nullptr ? _mm512_setzero_ps() : _mm512_loadu_ps(b);
  for (int part = 0; part < Parts; ++part) {
    const __m512i pairs = Interleave(ToBf16x2(x, y));
    _mm512_store_si512(to[part] + at, pairs);
    x = _mm512_sub_ps(x, LowHalves(pairs));
    y = _mm512_sub_ps(y, HighHalves(pairs));
  }
}

template <int Parts>
inline void StagePair(const uint16_t* a, const uint16_t* b, uint16_t* const* to, int64_t at) {
  const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a));
  const __m256i y = b == nullptr ? _mm256_setzero_si256()
                                 : _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
  _mm512_store_si512(to[0] + at, Interleave(_mm512_inserti64x4(_mm512_castsi256_si512(x), y, 1)));
}

// 32 words with an e4m3 each in the lower byte, as bf16: exact.
inline __m512i E4m3ToBf16(__m512i raw) {
  const __m512i size = _mm512_and_si512(raw, _mm512_set1_epi16(0x7f));
  const __m512i sign = _mm512_slli_epi16(_mm512_and_si512(raw, _mm512_set1_epi16(0x80)), 8);
  __m512i bits = _mm512_add_epi16(_mm512_slli_epi16(size, 4), _mm512_set1_epi16((127 - 7) << 7));
  // Multiples 0 to 7 of 2^-9.
  const __m512i small = _mm512_castsi128_si512(
      _mm_setr_epi16(0, 0x3b00, 0x3b80, 0x3bc0, 0x3c00, 0x3c20, 0x3c40, 0x3c60));
  bits = _mm512_mask_permutexvar_epi16(bits, _mm512_cmplt_epu16_mask(size, _mm512_set1_epi16(8)),
                                       size, small);
  bits = _mm512_mask_mov_epi16(bits, _mm512_cmpeq_epi16_mask(size, _mm512_set1_epi16(0x7f)),
                               _mm512_set1_epi16(0x7fc0));
  return _mm512_or_si512(bits, sign);
}

template <int Parts>
inline void StagePair(const uint8_t* a, const uint8_t* b, uint16_t* const* to, int64_t at) {
  const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
  const __m128i y =
      b == nullptr ? _mm_setzero_si128() : _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
  const __m512i words = _mm512_cvtepu8_epi16(_mm256_set_m128i(y, x));
  _mm512_store_si512(to[0] + at, Interleave(E4m3ToBf16(words)));
}

inline bool AnyNotFinite(const uint16_t* x, int64_t count) {
  const __m512i exponent = _mm512_set1_epi16(0x7f80);
  __mmask32 any = 0;
  for (int64_t i = 0; i < count; i += 32) {
    any |= _mm512_cmpeq_epi16_mask(_mm512_and_si512(_mm512_load_si512(x + i), exponent), exponent);
  }
  return any != 0;
}

// Parts of keys and values.
template <typename Kv>
constexpr int kParts = sizeof(Kv) == 4 ? 3 : 1;
// Parts of queries and weights that are multiplied with so many parts of keys and values.
constexpr int LeftParts(int parts) { return parts == 1 ? 2 : parts; }

template <typename Kv>
void StageKeys(const AttentionRows& rows, int32_t begin, int32_t limit, const Staging& to) {
  const int32_t head_dim = rows.head_dim;
  for (int page = 0; page < kStaged / 16; ++page) {
    if (begin + page * 16 >= limit) break;  // those scores are not used
    const Kv* from =
        static_cast<const Kv*>(rows.k) + rows.blocks[begin / 16 + page] * rows.block_stride;
    for (int32_t d = 0; d < head_dim; d += 2) {
      StagePair<kParts<Kv>>(from + d * 16, from + d * 16 + 16, to.k, (page * head_dim + d) * 16);
    }
  }
}

// Positions at or beyond `limit` become zeros; their memory is not read.
template <typename Kv>
void StageValues(const AttentionRows& rows, int32_t begin, int32_t limit, const Staging& to) {
  const int32_t head_dim = rows.head_dim;
  for (int pair = 0; pair < kStaged / 2; ++pair) {
    const int32_t position = begin + pair * 2;
    const int64_t at = int64_t{pair / 16} * 32 * head_dim + pair % 16 * 32;
    if (position >= limit) {
      for (int part = 0; part < kParts<Kv>; ++part) {
        for (int32_t d = 0; d < head_dim; d += 16) {
          _mm512_store_si512(to.v[part] + at + d / 16 * kTileWords, _mm512_setzero_si512());
        }
      }
      continue;
    }
    const Kv* const a = static_cast<const Kv*>(rows.v) +
                        rows.blocks[position / 16] * rows.block_stride + position % 16 * head_dim;
    const bool both = position + 1 < limit;
    for (int32_t d = 0; d < head_dim; d += 16) {
      StagePair<kParts<Kv>>(a + d, both ? a + head_dim + d : nullptr, to.v,
                            at + d / 16 * kTileWords);
    }
  }
}

// 32 floats as parts.
template <int Parts>
inline void Split(__m512 x, __m512 y, uint16_t* const* to, int64_t at) {
  for (int part = 0; part < Parts; ++part) {
    const __m512i rounded = ToBf16x2(x, y);
    _mm512_store_si512(to[part] + at, rounded);
    if (part + 1 == Parts) break;
    x = _mm512_sub_ps(x, LowHalves(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(rounded))));
    y = _mm512_sub_ps(y, LowHalves(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(rounded, 1))));
  }
}

template <int Parts>
void StageQueries(const AttentionRows& rows, const Staging& to) {
  const __m512 scale = _mm512_set1_ps(rows.scale);
  const int32_t head_dim = rows.head_dim;
  for (int32_t r = 0; r < (rows.rows + 15) / 16 * 16; ++r) {
    int64_t at = int64_t{r / 16} * 16 * head_dim + r % 16 * 32;
    for (int32_t d = 0; d < head_dim; d += 32, at += kTileWords) {
      __m512 x = _mm512_setzero_ps(), y = x;  // rows that fill up the tile
      if (r < rows.rows) {
        x = _mm512_mul_ps(_mm512_loadu_ps(rows.q[r] + d), scale);
        y = _mm512_mul_ps(_mm512_loadu_ps(rows.q[r] + d + 16), scale);
      }
      Split<Parts>(x, y, to.q, at);
    }
  }
}

// ---- Tile products ---------------------------------------------------------------------------

#define VALLM_LOAD(tile, from) _tile_loadd(tile, from, 64)

// The products of one step in their order: part numbers of the left and the right operand.
struct Product {
  int left, right;
};
template <int Parts>
constexpr Product kProducts[] = {{0, 2}, {0, 1}, {0, 0}, {2, 0}, {1, 0}, {1, 1}};
template <>
constexpr Product kProducts<2>[] = {{0, 1}, {0, 0}, {1, 0}};
template <>
constexpr Product kProducts<1>[] = {{0, 0}, {1, 0}};

// One step, 32 terms: row tiles at a and, if Two, at a + a_next, times column tiles at b and
// b + b_next, added to C0 .. C3.
template <int Parts, bool Two, int I = 0>
inline void Step(const uint16_t* const* a, int64_t a_next, int64_t a_at, const uint16_t* const* b,
                 int64_t b_next, int64_t b_at) {
  constexpr int kCount = static_cast<int>(sizeof(kProducts<Parts>) / sizeof(Product));
  if constexpr (I < kCount) {
    constexpr Product kNow = kProducts<Parts>[I];
    constexpr Product kBefore = I == 0 ? Product{-1, -1} : kProducts<Parts>[I == 0 ? 0 : I - 1];
    if constexpr (kNow.left != kBefore.left) {
      VALLM_LOAD(4, a[kNow.left] + a_at);
      if constexpr (Two) VALLM_LOAD(5, a[kNow.left] + a_at + a_next);
    }
    if constexpr (kNow.right != kBefore.right) {
      VALLM_LOAD(6, b[kNow.right] + b_at);
      VALLM_LOAD(7, b[kNow.right] + b_at + b_next);
    }
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (Two) {
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    Step<Parts, Two, I + 1>(a, a_next, a_at, b, b_next, b_at);
  }
}

// Scores of the group whose first row tile is `tile` against the positions 32 * half + 0 .. 31.
template <int Parts, bool Two>
inline void ScoreTiles(const Staging& at, int32_t head_dim, int tile, int half) {
  const int64_t q_at = int64_t{tile} * 16 * head_dim, k_at = int64_t{half} * 32 * head_dim;
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (Two) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t d = 0; d < head_dim / 32; ++d) {
    Step<Parts, Two>(at.q, 16 * head_dim, q_at + d * kTileWords, at.k, 16 * head_dim,
                     k_at + d * kTileWords);
  }
  float* const s = at.s + half * 2 * kTileFloats;
  _tile_stored(0, s, 64);
  _tile_stored(1, s + kTileFloats, 64);
  if constexpr (Two) {
    _tile_stored(2, s + 4 * kTileFloats, 64);
    _tile_stored(3, s + 5 * kTileFloats, 64);
  }
}

// o += p x v for `halves` times 32 positions.
template <int Parts, bool Two>
void AddValueTiles(const Staging& at, int32_t head_dim, int tile, int halves) {
  float* const o = at.o + int64_t{tile} * 16 * head_dim;
  const int64_t below = int64_t{16} * head_dim;  // from a row tile of o to the next
  for (int64_t d = 0; d < head_dim / 16; d += 2) {
    float* const c = o + d * kTileFloats;
    VALLM_LOAD(0, c);
    VALLM_LOAD(1, c + kTileFloats);
    if constexpr (Two) {
      VALLM_LOAD(2, c + below);
      VALLM_LOAD(3, c + below + kTileFloats);
    }
    for (int64_t half = 0; half < halves; ++half) {
      const int64_t v_at = half * 32 * head_dim + d * kTileWords;
      Step<Parts, Two>(at.p, 2 * kTileWords, half * kTileWords, at.v, kTileWords, v_at);
    }
    _tile_stored(0, c, 64);
    _tile_stored(1, c + kTileFloats, 64);
    if constexpr (Two) {
      _tile_stored(2, c + below, 64);
      _tile_stored(3, c + below + kTileFloats, 64);
    }
  }
}

#undef VALLM_LOAD

// ---- The walk --------------------------------------------------------------------------------

// One step of the running softmax of a row: reads its scores, writes its weights, scales its o.
template <int Parts>
inline void SoftmaxStep(const Staging& at, int32_t head_dim, int tile, int row, int32_t count,
                        RowState& state) {
  const float* const scores = at.s + row / 16 * 4 * kTileFloats + row % 16 * 16;
  Vec s[4];
  for (int i = 0; i < 4; ++i) s[i] = Load(scores + i * kTileFloats);
  if (count < kStaged) {
    for (int i = 0; i < 4; ++i) {
      const int32_t seen = count - i * 16;
      s[i] = FirstOr(seen < 0 ? 0 : seen > 16 ? 16 : seen, s[i], Set1(-__builtin_inff()));
    }
  }
  const float block_max = ReduceMax(Max(Max(s[0], s[1]), Max(s[2], s[3])));
  if (block_max > state.max) {
    // Subnormal results become zero: a tile product would take them for zero, or not meet them.
    const Vec decay = Exp(Set1(state.max - block_max));
    const Vec smallest = Set1(__FLT_MIN__);
    float* o = at.o + (int64_t{tile} + row / 16) * 16 * head_dim + row % 16 * 16;
    for (int32_t d = 0; d < head_dim; d += 16, o += kTileFloats) {
      const Vec x = Mul(Load(o), decay);
      Store(o, ZeroWhereLess(Max(x, Sub(Zero(), x)), smallest, x));
    }
    state.sum = Mul(state.sum, decay);
    state.max = block_max;
  }
  const Vec max = Set1(state.max);
  Vec e[4];
  for (int i = 0; i < 4; ++i) e[i] = Exp(Sub(s[i], max));
  state.sum = Add(state.sum, Add(Add(e[0], e[1]), Add(e[2], e[3])));
  const int64_t to = row / 16 * 2 * kTileWords + row % 16 * 32;
  Split<Parts>(e[0].v, e[1].v, at.p, to);
  Split<Parts>(e[2].v, e[3].v, at.p, to + kTileWords);
}

template <int Parts>
inline void AddGroupValues(const Staging& at, int32_t head_dim, int tile, int count, int halves) {
  if (count > 16) {
    AddValueTiles<Parts, true>(at, head_dim, tile, halves);
  } else {
    AddValueTiles<Parts, false>(at, head_dim, tile, halves);
  }
}

// Where a row must not meet values that another sees: each row on its own, with what it does not
// see replaced by zeros.
template <typename Kv>
void AddValuesRowByRow(const AttentionRows& rows, const Staging& at, int32_t begin, int32_t limit,
                       int first, int count) {
  const int32_t head_dim = rows.head_dim;
  const int64_t floats = int64_t{(count + 15) / 16} * 16 * head_dim;
  float* const o = at.o + int64_t{first} * head_dim;
  float* const before = at.saved;
  float* const after = at.saved + int64_t{kGroupRows} * head_dim;
  __builtin_memcpy(before, o, floats * sizeof(float));
  for (int r = 0; r < count; ++r) {
    StageValues<Kv>(rows, begin, rows.visible[first + r], at);
    __builtin_memcpy(o, before, floats * sizeof(float));
    AddGroupValues<kParts<Kv>>(at, head_dim, first / 16, count, kStaged / 32);
    for (int32_t d = 0; d < head_dim; d += 16) {
      const int64_t part = int64_t{r / 16} * 16 * head_dim + d * 16 + r % 16 * 16;
      Store(after + part, Load(o + part));
    }
  }
  __builtin_memcpy(o, after, floats * sizeof(float));
  StageValues<Kv>(rows, begin, limit, at);
}

struct AmxWalk {
  Staging at;
  RowState state[kMaxAttentionRows];
  RowTotal total[kMaxAttentionRows];
  int32_t last_visible;   // the most that a row sees
  int32_t first_visible;  // the least
};

// The positions from begin on, up to 64, for all rows.
template <typename Kv>
void WalkBlock(const AttentionRows& rows, AmxWalk& walk, int32_t begin) {
  constexpr int kP = kParts<Kv>;
  const int32_t head_dim = rows.head_dim;
  const Staging& at = walk.at;
  StageKeys<Kv>(rows, begin, walk.last_visible, at);
  StageValues<Kv>(rows, begin, walk.last_visible, at);
  const int32_t end = begin + kStaged;
  bool finite = true;
  if (end > walk.first_visible) {
    for (int part = 0; part < kP; ++part) {
      finite &= !AnyNotFinite(at.v[part], int64_t{kStaged} * head_dim);
    }
  }
  for (int first = 0; first < rows.rows; first += kGroupRows) {
    const int count = rows.rows - first < kGroupRows ? rows.rows - first : kGroupRows;
    int32_t most = 0, least = rows.visible[first];
    for (int r = first; r < first + count; ++r) {
      most = rows.visible[r] > most ? rows.visible[r] : most;
      least = rows.visible[r] < least ? rows.visible[r] : least;
    }
    if (most <= begin) continue;
    const int halves = most - begin > 32 ? 2 : 1;
    for (int half = 0; half < halves; ++half) {
      if (count > 16) {
        ScoreTiles<kP, true>(at, head_dim, first / 16, half);
      } else {
        ScoreTiles<kP, false>(at, head_dim, first / 16, half);
      }
    }
    for (int r = 0; r < count; ++r) {
      SoftmaxStep<LeftParts(kP)>(at, head_dim, first / 16, r, rows.visible[first + r] - begin,
                                 walk.state[first + r]);
    }
    if (finite || least >= end) {
      AddGroupValues<kP>(at, head_dim, first / 16, count, halves);
    } else {
      AddValuesRowByRow<Kv>(rows, at, begin, walk.last_visible, first, count);
    }
  }
}

template <typename Kv>
void AttendAmxTyped(const AttentionRows& rows) {
  const int32_t head_dim = rows.head_dim;
  AmxWalk walk;
  walk.at = CarveStaging(static_cast<char*>(rows.scratch), head_dim);
  const int32_t padded = (rows.rows + 15) / 16 * 16;
  walk.last_visible = walk.first_visible = rows.visible[0];
  for (int32_t r = 1; r < rows.rows; ++r) {
    const int32_t visible = rows.visible[r];
    walk.last_visible = visible > walk.last_visible ? visible : walk.last_visible;
    walk.first_visible = visible < walk.first_visible ? visible : walk.first_visible;
  }
  StageQueries<LeftParts(kParts<Kv>)>(rows, walk.at);
  // Scores that no product writes and weights of rows that only fill a tile are never used, but
  // read; so is what precedes the first position of a span.
  __builtin_memset(walk.at.s, 0, sizeof(float) * kGroupRows * kStaged);
  for (uint16_t* part : walk.at.p) __builtin_memset(part, 0, 2 * kGroupRows * kStaged);
  for (uint16_t* part : walk.at.k) __builtin_memset(part, 0, size_t{2} * kStaged * head_dim);
  ConfigureTiles(rows.rows < 16 ? rows.rows : 16);
  const SpanRange spans = SpansOf(rows, walk.last_visible);
  for (int32_t begin = spans.begin; begin < spans.end; begin += kAttentionSpan) {
    __builtin_memset(walk.at.o, 0, sizeof(float) * padded * head_dim);
    for (int32_t r = 0; r < rows.rows; ++r) walk.state[r] = {-__builtin_inff(), Zero()};
    const int32_t end =
        begin + kAttentionSpan < walk.last_visible ? begin + kAttentionSpan : walk.last_visible;
    for (int32_t block = begin; block < end; block += kStaged) WalkBlock<Kv>(rows, walk, block);
    for (int32_t r = 0; r < rows.rows; ++r) {
      const float* const o = walk.at.o + int64_t{r / 16} * 16 * head_dim + r % 16 * 16;
      EndSpan(rows, r, begin, walk.state[r], o, kTileFloats, walk.total[r]);
    }
  }
  _tile_release();
}

void AttendAmx(const AttentionRows& rows) {
  if (rows.element_bytes == 4) {
    AttendAmxTyped<float>(rows);
  } else if (rows.element_bytes == 2) {
    AttendAmxTyped<uint16_t>(rows);
  } else {
    AttendAmxTyped<uint8_t>(rows);
  }
}

}  // namespace
}  // namespace vallm::engine
