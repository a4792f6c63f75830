// What tile products are made of: rows of activations and chunks of weights, in BF16.
//
// Activations are floats. Each is written as the sum of kInputParts numbers in BF16, and the parts
// are rows of their own: the hardware then multiplies exactly and adds in float, and a row of
// activations keeps 8 * kInputParts bits. Weights are converted to BF16, exactly: e4m3 and integers
// less their zero point have 8 bits or fewer, f16 is the sum of two.
// No include guard: compiled once, after vec16_avx512.h.

namespace vallm::engine {
namespace {

constexpr int kInputParts = 3;
constexpr int kChunk = 32;                // input features per tile multiplication
constexpr int kTileBytes = 16 * 64;       // 16 rows of 32 BF16, or of 16 floats
constexpr int64_t kPrefetchBytes = 2048;  // ahead in the weights of a tile

inline int32_t Chunks(int32_t features) { return (features + kChunk - 1) / kChunk; }

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

// How the weights of one format become BF16. kSplit: in two parts, each a tile of its own.
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
  // the old one (less than 16) plus 112, which is the same as or.
  static __m512i ConvertNormal(__m512i words) {
    return _mm512_ternarylogic_epi32(
        _mm512_slli_epi16(words, 4), _mm512_set1_epi16(static_cast<short>(0x87f0)),
        _mm512_set1_epi16((127 - 7 - 8) << 7), /*first & second | third*/ 0xea);
  }
  static __m512i LoadWords(const uint8_t* p) { return _mm512_cvtepi8_epi16(LoadRaw256(p)); }
  // Subnormals, which have no hidden bit, come from a table of the eight there are.
  static __m512i Convert(const uint8_t* p, const Zeros&) {
    const __m512i words = LoadWords(p);
    const __mmask32 subnormal = _mm512_testn_epi16_mask(words, _mm512_set1_epi16(0x78));
    // 0, 1, … 7 times 2^-17 in BF16, for the low three bits of a word; vpermw reads five.
    const __m512i table = _mm512_broadcast_i32x4(
        _mm_setr_epi16(0, 0x3700, 0x3780, 0x37c0, 0x3800, 0x3820, 0x3840, 0x3860));
    const __m512i value =
        _mm512_mask_permutexvar_epi16(ConvertNormal(words), subnormal, words, table);
    return _mm512_ternarylogic_epi32(words, _mm512_set1_epi16(static_cast<short>(0x8000)), value,
                                     /*second ? first : third*/ 0xe2);
  }
  // Two pairs at once, as few weights of a trained model are subnormal.
  static void ConvertTwo(const uint8_t* p, const Zeros& zeros, uint8_t* to) {
    const __m512i raw = _mm512_loadu_si512(p);
    if (_mm512_testn_epi8_mask(raw, _mm512_set1_epi8(0x78)) == 0) [[likely]] {
      _mm512_store_si512(to, ConvertNormal(LoadWords(p)));
      _mm512_store_si512(to + 64, ConvertNormal(LoadWords(p + kPairBytes)));
    } else {
      _mm512_store_si512(to, Convert(p, zeros));
      _mm512_store_si512(to + 64, Convert(p + kPairBytes, zeros));
    }
  }
};

template <>
struct AmxWeights<WeightType::kUint8> {
  static constexpr int kPairBytes = 32;
  static constexpr bool kScaled = true, kSplit = false;
  // The bits of 2^23 as a float: or'ed with an integer below 2^23 they are the sum of both.
  static constexpr int32_t kTwoTo23 = 0x4b000000;
  struct Zeros {
    explicit Zeros(const float* p)
        : lanes(_mm512_add_ps(_mm512_loadu_ps(p), _mm512_set1_ps(0x1p23f))) {}
    __m512 lanes;  // plus 2^23
  };
  // The difference has eight bits, or is -256: the upper half of its float is all of it.
  static __m512i Convert(const uint8_t* p, const Zeros& zeros) {
    const __m512i raw = _mm512_cvtepu16_epi32(LoadRaw256(p));
    const __m512i base = _mm512_set1_epi32(kTwoTo23);
    constexpr int kAndThenOr = 0xea;  // (first & second) | third
    const __m512i first = _mm512_ternarylogic_epi32(raw, _mm512_set1_epi32(0xff), base, kAndThenOr);
    const __m512i second = _mm512_or_si512(_mm512_srli_epi32(raw, 8), base);
    const __m512i low = _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(first), zeros.lanes));
    const __m512i high =
        _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(second), zeros.lanes));
    return _mm512_or_si512(_mm512_srli_epi32(low, 16), high);
  }
};

template <>
struct AmxWeights<WeightType::kUint4> {
  static constexpr int kPairBytes = 16;
  static constexpr bool kScaled = true, kSplit = false;
  struct Zeros {
    explicit Zeros(const float* p) : lanes(_mm512_cvtps_epi32(_mm512_loadu_ps(p))) {
      lanes = _mm512_or_si512(lanes, _mm512_slli_epi32(lanes, 16));
    }
    __m512i lanes;  // of both halves of a pair
  };
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

// Tiles that the weights of a chunk become.
template <typename W>
constexpr int kWeightTiles = W::kSplit ? 2 : 1;

template <typename W>
constexpr bool kConvertsTwo = requires {
  &W::ConvertTwo;
};

// Converts `pairs` pairs at `p`, one row of a tile each, and fills the tile up with zeros.
template <typename W>
[[gnu::always_inline]] inline void ConvertPairs(const uint8_t* p, int32_t pairs,
                                                const typename W::Zeros& zeros, uint8_t* to) {
  if constexpr (kConvertsTwo<W>) {
    if (pairs == 16) {
      for (int32_t i = 0; i < 8; ++i, p += 2 * W::kPairBytes, to += 128) {
        W::ConvertTwo(p, zeros, to);
      }
      return;
    }
  }
  for (int32_t i = 0; i < 16; ++i, p += W::kPairBytes, to += 64) {
    if constexpr (W::kSplit) {
      __m512i first = _mm512_setzero_si512(), second = first;
      if (i < pairs) W::Split(p, first, second);
      _mm512_store_si512(to, first);
      _mm512_store_si512(to + kTileBytes, second);
    } else {
      _mm512_store_si512(to, i < pairs ? W::Convert(p, zeros) : _mm512_setzero_si512());
    }
  }
}

// Makes the weights of a chunk, `pairs` pairs at `p`, ready to be loaded as tiles: returns where
// the kWeightTiles<W> of them are, which is `buffer` or, as they are BF16 already, `p`.
template <typename W>
[[gnu::always_inline]] inline const uint8_t* PrepareChunk(const uint8_t* p, int32_t pairs,
                                                          const typename W::Zeros& zeros,
                                                          int64_t ahead, uint8_t* buffer) {
  // To the second cache only: the buffers between the first and it are what limits a core's reads,
  // and the window of out-of-order execution is too small to keep them busy.
  for (int32_t i = 0; i < 16 * W::kPairBytes; i += 64) {
    _mm_prefetch(p + i + ahead, _MM_HINT_T1);
  }
  if (pairs == 16) {
    if constexpr (W::kPairBytes == 64 && !W::kSplit) return p;
    ConvertPairs<W>(p, 16, zeros, buffer);
  } else {
    ConvertPairs<W>(p, pairs, zeros, buffer);
  }
  return buffer;
}

}  // namespace
}  // namespace vallm::engine
