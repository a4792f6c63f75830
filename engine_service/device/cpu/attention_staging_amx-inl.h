// What attention on AMX tiles works on: operands as sums of bf16 parts in tile order, the tiles'
// configuration, and the fetching of pages ahead. attention_amx-inl.h says how it fits together.
// No include guard: compiled once, after vec16_avx512.h, pointwise-inl.h
// and tile_registers_amx-inl.h.

namespace vallm::engine {
namespace {

constexpr int kStaged = 64;       // positions of a block
constexpr int kTileWords = 512;   // bf16 elements of a tile, 16 rows of 32
constexpr int kTileFloats = 256;  // f32 elements of a tile, 16 rows of 16
constexpr int kGroupRows = 32;    // rows that go through a block together: two tiles

// Tiles 0-3 accumulate and 7 holds right operands; 4-6 hold left operands of one row tile, or 4-5
// those of two and 6 a right operand, and then rows are 16.
inline void ConfigureTiles(int rows) {
  TileConfig config;
  for (int tile = 0; tile < 7; ++tile) config.rows[tile] = static_cast<uint8_t>(rows);
  LoadTileConfig(config);
}

// The working memory of a call, all of it in tile order, carved from AttentionRows::scratch. The
// index is the part, the largest first.
struct Staging {
  uint16_t* q[3];  // [row tile][head_dim / 32][16 rows][32]
  float* o;        // [row tile][head_dim / 16][16 rows][16]
  uint16_t* k[3];  // [position / 16][head_dim / 32][16 feature pairs][16 positions][2]
  uint16_t* v[3];  // [position / 32][head_dim / 16][16 position pairs][16 features][2]
  float* s[2];     // of two groups in turn: [row tile][position / 16][16 rows][16]
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
  for (float*& group : out.s) group = Carve<float>(at, kGroupRows * kStaged);
  for (uint16_t*& part : out.p) part = Carve<uint16_t>(at, kGroupRows * kStaged);
  return out;
}

int64_t AmxScratchBytes(int32_t head_dim) {
  constexpr int64_t kPerFeature =
      kMaxAttentionRows * (3 * 2 + 4) + kStaged * 3 * 2 * 2 + 2 * kGroupRows * 4;
  return kPerFeature * head_dim + kGroupRows * kStaged * (2 * 4 + 3 * 2);
}

// ---- Splitting and staging -------------------------------------------------------------------

// [a0 b0 a1 b1 ...] from [a0 .. a15 | b0 .. b15], 16-bit elements.
inline __m512i Interleave(__m512i halves) {
  const __m512i order =
      _mm512_set_epi32(0x001f000f, 0x001e000e, 0x001d000d, 0x001c000c, 0x001b000b, 0x001a000a,
                       0x00190009, 0x00180008, 0x00170007, 0x00160006, 0x00150005, 0x00140004,
                       0x00130003, 0x00120002, 0x00110001, 0x00100000);
  return _mm512_permutexvar_epi16(order, halves);
}

inline __m512 UpperHalf(__m512 x) {
  const __m512i mask = _mm512_set1_epi32(static_cast<int>(0xffff0000));
  return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(x), mask));
}

// Rounds what UpperHalf is to cut: to the nearest, halves away from zero.
inline __m512 RoundUpperHalf(__m512 x) {
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000)));
}

// The upper halves of x and y: [x0 .. x15 | y0 .. y15] and [x0 y0 x1 y1 ...].
inline __m512i JoinUpperHalves(__m512 x, __m512 y) {
  const __m512i odd_words =
      _mm512_set_epi32(0x003f003d, 0x003b0039, 0x00370035, 0x00330031, 0x002f002d, 0x002b0029,
                       0x00270025, 0x00230021, 0x001f001d, 0x001b0019, 0x00170015, 0x00130011,
                       0x000f000d, 0x000b0009, 0x00070005, 0x00030001);
  return _mm512_permutex2var_epi16(_mm512_castps_si512(x), odd_words, _mm512_castps_si512(y));
}
inline __m512i InterleaveUpperHalves(__m512 x, __m512 y) {
  const __m512i low = _mm512_srli_epi32(_mm512_castps_si512(x), 16);
  return _mm512_mask_mov_epi16(low, 0xaaaaaaaa, _mm512_castps_si512(y));
}

// One row of a staged tile, pairs (a[i], b[i]), from 16 cache elements at a and at b. A null b
// stands for zeros.
template <int Parts>
inline void StagePair(const float* a, const float* b, uint16_t* const* to, int64_t at) {
  __m512 x = _mm512_loadu_ps(a);
  __m512 y = b == nullptr ? _mm512_setzero_ps() : _mm512_loadu_ps(b);
  for (int part = 0; part < Parts; ++part) {
    _mm512_store_si512(to[part] + at, InterleaveUpperHalves(x, y));
    x = _mm512_sub_ps(x, UpperHalf(x));
    y = _mm512_sub_ps(y, UpperHalf(y));
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

// Fetches the next block's pages into the second-level cache, some lines at a time, while this one
// is worked on.
struct Prefetcher {
  const char* pages[2 * kStaged / 16];  // K and V
  int page_count;
  int page, line;                              // the next one
  int lines_per_page;                          // of 64 bytes
  int per_key_step, per_value_step, per_call;  // lines to fetch

  void Advance(int left) {
    if (page == page_count) return;
    while (left > 0) {
      const char* at = pages[page] + line * 64;
      const int run = left < lines_per_page - line ? left : lines_per_page - line;
      for (int i = 0; i < run; ++i) __builtin_prefetch(at + i * 64, 0, 2);
      left -= run;
      line += run;
      if (line < lines_per_page) return;
      line = 0;
      if (++page == page_count) return;
    }
  }
};

template <typename Kv>
Prefetcher PrefetchBlock(const AttentionRows& rows, int32_t begin, int32_t end) {
  Prefetcher out = {};
  for (int32_t at = begin; at < end && at < begin + kStaged; at += 16) {
    const int64_t offset = rows.blocks[at / 16] * rows.block_stride;
    const void* const pages[] = {static_cast<const Kv*>(rows.k) + offset,
                                 static_cast<const Kv*>(rows.v) + offset};
    for (const void* page : pages) out.pages[out.page_count++] = static_cast<const char*>(page);
  }
  out.lines_per_page = rows.head_dim * static_cast<int>(sizeof(Kv)) / 4;
  // Half of them while this block is staged, half during the products of one group.
  const int lines = out.page_count * out.lines_per_page;
  out.per_key_step = (lines + rows.head_dim - 1) / rows.head_dim;
  out.per_value_step = (lines + 2 * kStaged - 1) / (2 * kStaged);
  const int products = kParts<Kv> == 3 ? 6 : 2;
  const int calls = rows.rows > 16 ? rows.head_dim / 8 * products : rows.head_dim / 4;
  out.per_call = (lines / 2 + calls - 1) / calls;
  return out;
}

// Keys of `pages` pages from the one that `begin` is in.
template <typename Kv>
void StageKeys(const AttentionRows& rows, int32_t begin, int pages, int32_t limit,
               const Staging& to, Prefetcher& prefetcher) {
  const int32_t head_dim = rows.head_dim;
  for (int page = 0; page < pages; ++page) {
    if (begin + page * 16 >= limit) break;  // those scores are not used
    const Kv* from =
        static_cast<const Kv*>(rows.k) + rows.blocks[begin / 16 + page] * rows.block_stride;
    for (int32_t d = 0; d < head_dim; d += 16) {
      prefetcher.Advance(prefetcher.per_key_step);
      for (int32_t i = d; i < d + 16; i += 2) {
        StagePair<kParts<Kv>>(from + i * 16, from + i * 16 + 16, to.k, (page * head_dim + i) * 16);
      }
    }
  }
}

// Features [feature, feature + width) of a block's values. Positions at or beyond `limit` become
// zeros; their memory is not read.
template <typename Kv>
void StageValues(const AttentionRows& rows, int32_t begin, int32_t limit, int32_t feature,
                 int32_t width, const Staging& to, Prefetcher& prefetcher) {
  const int32_t head_dim = rows.head_dim;
  const int fetch = (prefetcher.per_value_step * width + head_dim - 1) / head_dim;
  for (int pair = 0; pair < kStaged / 2; ++pair) {
    prefetcher.Advance(fetch);
    const int32_t position = begin + pair * 2;
    const int64_t at = int64_t{pair / 16} * 32 * width + pair % 16 * 32;
    if (position >= limit) {
      for (int part = 0; part < kParts<Kv>; ++part) {
        for (int32_t d = 0; d < width; d += 16) {
          _mm512_store_si512(to.v[part] + at + d / 16 * kTileWords, _mm512_setzero_si512());
        }
      }
      continue;
    }
    const Kv* const a = static_cast<const Kv*>(rows.v) +
                        rows.blocks[position / 16] * rows.block_stride + position % 16 * head_dim +
                        feature;
    const bool both = position + 1 < limit;
    for (int32_t d = 0; d < width; d += 16) {
      StagePair<kParts<Kv>>(a + d, both ? a + head_dim + d : nullptr, to.v,
                            at + d / 16 * kTileWords);
    }
  }
}

// 32 floats as parts.
template <int Parts>
inline void Split(__m512 x, __m512 y, uint16_t* const* to, int64_t at) {
  for (int part = 0; part < Parts; ++part) {
    __m512 x_part = x, y_part = y;
    if (Parts == 2) {
      x_part = RoundUpperHalf(x);
      y_part = RoundUpperHalf(y);
    }
    _mm512_store_si512(to[part] + at, JoinUpperHalves(x_part, y_part));
    x = _mm512_sub_ps(x, UpperHalf(x_part));
    y = _mm512_sub_ps(y, UpperHalf(y_part));
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

}  // namespace
}  // namespace vallm::engine
