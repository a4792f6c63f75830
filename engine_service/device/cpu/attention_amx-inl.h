// Attention on AMX tiles, for up to 256 rows (token, head) that share a KV head.
//
// Every f32 operand is a sum of bf16 parts, upper halves of floats: x0 of x, x1 of x - x0 and x2 of
// the rest, which leaves nothing of a float's 24 bits. A tile product multiplies bf16 exactly and
// adds in f32. With an f32 cache all products of parts count that reach above a float's precision,
// a0 b2, a0 b1, a1 b1, a0 b0, a1 b0, a2 b0. Keys and values of a narrower cache are one part, and
// for them two rounded parts of queries and weights do: a0 b0, a1 b0. In this order per 32 terms,
// into one accumulator.
//
// Blocks of 64 positions at a time, begun at multiples of 64: the block's keys and values are put
// in tile order once for all rows ("staged"), then per group of 32 rows scores, one step of the
// running softmax of attention-inl.h, and weighted values:
//   s = sum over 32 features each of q x k
//   o = o * decay, then sum over 32 positions each of p x v
// Positions that a row does not see have p = 0, and their values are finite or replaced by zero. A
// row of a tile product depends on that row of the left operand alone, and adding zeros changes no
// bit but the sign of zero, which is dropped at the end; so sharing a call changes no bits.
// No include guard: compiled once, after vec16_avx512.h, pointwise-inl.h, attention-inl.h
// and attention_staging_amx-inl.h.

namespace vallm::engine {
namespace {

// ---- Softmax ---------------------------------------------------------------------------------

// Exp of pointwise-inl.h for x <= 0, to the bit, in fewer instructions.
inline Vec ExpOfNegative(Vec x) {
  const Vec lowest = Set1(-87.0f);
  const Vec clamped = Max(x, lowest);
  const Vec magic = Set1(12582912.0f);
  const Vec n = Sub(Fma(clamped, Set1(1.44269504f), magic), magic);
  Vec r = Fma(n, Set1(-0.693359375f), clamped);
  r = Fma(n, Set1(2.12194440e-4f), r);
  Vec p = Set1(1.0f / 5040);
  p = Fma(p, r, Set1(1.0f / 720));
  p = Fma(p, r, Set1(1.0f / 120));
  p = Fma(p, r, Set1(1.0f / 24));
  p = Fma(p, r, Set1(1.0f / 6));
  p = Fma(p, r, Set1(0.5f));
  p = Fma(p, r, Set1(1.0f));
  p = Fma(p, r, Set1(1.0f));
  return {_mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x.v, lowest.v, _CMP_NLT_UQ), p.v, n.v)};
}

// One step of the running softmax of a row: reads its scores, writes its weights, scales its o.
template <int Parts>
__attribute__((noinline)) void SoftmaxStep(const Staging& at, const float* s_tiles,
                                           int32_t head_dim, int tile, int row, int32_t count,
                                           RowState& state) {
  const float* const scores = s_tiles + row / 16 * 4 * kTileFloats + row % 16 * 16;
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
  for (int i = 0; i < 4; ++i) e[i] = ExpOfNegative(Sub(s[i], max));
  state.sum = Add(state.sum, Add(Add(e[0], e[1]), Add(e[2], e[3])));
  const int64_t to = row / 16 * 2 * kTileWords + row % 16 * 32;
  Split<Parts>(e[0].v, e[1].v, at.p, to);
  Split<Parts>(e[2].v, e[3].v, at.p, to + kTileWords);
}

// The rows of a group whose scores are known. They are worked off while tile products run, which
// leave the vector units idle.
struct SoftmaxQueue {
  const AttentionRows* rows;
  const Staging* at;
  const float* s;
  RowState* state;
  int32_t begin;  // first position of the block
  int first, count;
  int done;
};

template <int Parts>
inline void WorkOff(SoftmaxQueue& queue, int until) {
  for (; queue.done < until; ++queue.done) {
    const int row = queue.first + queue.done;
    SoftmaxStep<Parts>(*queue.at, queue.s, queue.rows->head_dim, queue.first / 16, queue.done,
                       queue.rows->visible[row] - queue.begin, queue.state[row]);
  }
}

// ---- Tile products ---------------------------------------------------------------------------

// The products of one step in their order: part numbers of the left and the right operand.
struct Product {
  int left, right;
};
template <int Parts>
constexpr Product kProducts[] = {{0, 2}, {0, 1}, {1, 1}, {0, 0}, {1, 0}, {2, 0}};
template <>
constexpr Product kProducts<1>[] = {{0, 0}, {1, 0}};
template <int Parts>
constexpr int kProductCount = static_cast<int>(sizeof(kProducts<Parts>) / sizeof(Product));

// Calls of between() per step of one row tile by `columns` column tiles, or of two by two.
template <int Parts, bool Two>
constexpr int Calls(int columns) {
  return Two ? kProductCount<Parts> : columns;
}

// One step, 32 terms, of two row tiles, at a and a + a_next, by two column tiles, at b and
// b + b_next: C0 C1 over C2 C3.
template <int Parts, int I = 0, typename Between>
inline void StepTwoByTwo(const uint16_t* const* a, int64_t a_next, int64_t a_at,
                         const uint16_t* const* b, int64_t b_next, int64_t b_at,
                         const Between& between) {
  if constexpr (I < kProductCount<Parts>) {
    constexpr Product kNow = kProducts<Parts>[I];
    constexpr Product kBefore = I == 0 ? Product{-1, -1} : kProducts<Parts>[I == 0 ? 0 : I - 1];
    if constexpr (kNow.left != kBefore.left) {
      LoadTile<4>(a[kNow.left] + a_at);
      LoadTile<5>(a[kNow.left] + a_at + a_next);
    }
    if constexpr (kNow.right != kBefore.right) {
      LoadTile<6>(b[kNow.right] + b_at);
      LoadTile<7>(b[kNow.right] + b_at + b_next);
    }
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    between(I);
    StepTwoByTwo<Parts, I + 1>(a, a_next, a_at, b, b_next, b_at, between);
  }
}

// The products of one column tile, added to C[Column]; left parts are in tiles 4, 5, 6.
template <int Parts, int Column, int I = 0>
inline void StepColumn(const uint16_t* const* b, int64_t b_at) {
  if constexpr (I < kProductCount<Parts>) {
    constexpr Product kNow = kProducts<Parts>[I];
    if constexpr (I == 0 || kNow.right != kProducts<Parts>[I == 0 ? 0 : I - 1].right) {
      LoadTile<7>(b[kNow.right] + b_at);
    }
    // GCC 12's intrinsic takes nothing but digits.
    asm volatile("tdpbf16ps %%tmm7, %%tmm%c0, %%tmm%c1" ::"i"(4 + kNow.left), "i"(Column));
    StepColumn<Parts, Column, I + 1>(b, b_at);
  }
}

// One step of one row tile by `Columns` column tiles, 2 or 4.
template <int Parts, int Columns, typename Between>
inline void StepOneBy(const uint16_t* const* a, int64_t a_at, const uint16_t* const* b,
                      int64_t b_next, int64_t b_at, const Between& between) {
  LoadTile<4>(a[0] + a_at);
  LoadTile<5>(a[1] + a_at);
  if constexpr (LeftParts(Parts) == 3) LoadTile<6>(a[2] + a_at);
  StepColumn<Parts, 0>(b, b_at);
  between(0);
  StepColumn<Parts, 1>(b, b_at + b_next);
  between(1);
  if constexpr (Columns == 4) {
    StepColumn<Parts, 2>(b, b_at + 2 * b_next);
    between(2);
    StepColumn<Parts, 3>(b, b_at + 3 * b_next);
    between(3);
  }
}

inline void ZeroAccumulators() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// C0 .. C3 to and from memory, as two by two tiles or as `columns` of one row.
template <bool Two>
inline void StoreAccumulators(float* c, int64_t below, int columns) {
  StoreTileRegister<0>(c);
  StoreTileRegister<1>(c + kTileFloats);
  if (Two || columns == 4) {
    float* const rest = Two ? c + below : c + 2 * kTileFloats;
    StoreTileRegister<2>(rest);
    StoreTileRegister<3>(rest + kTileFloats);
  }
}
template <bool Two>
inline void LoadAccumulators(const float* c, int64_t below, int columns) {
  LoadTile<0>(c);
  LoadTile<1>(c + kTileFloats);
  if (Two || columns == 4) {
    const float* const rest = Two ? c + below : c + 2 * kTileFloats;
    LoadTile<2>(rest);
    LoadTile<3>(rest + kTileFloats);
  }
}

// Scores of the group whose first row tile is `tile` against `halves` times 32 positions, while
// `queue` is worked off.
template <int Parts, bool Two, int Columns>
void ScoreTiles(const Staging& at, float* s, int32_t head_dim, int tile, int halves,
                SoftmaxQueue& queue, Prefetcher& prefetcher) {
  const int64_t q_at = int64_t{tile} * 16 * head_dim;
  const int64_t next = int64_t{16} * head_dim;  // from a tile to its neighbour, of q and of k
  const int steps = head_dim / 32;
  const int passes = halves * 2 / Columns;
  constexpr int kCalls = Calls<Parts, Two>(Columns);
  const int calls = passes * steps * kCalls;
  for (int pass = 0; pass < passes; ++pass, s += Columns * kTileFloats) {
    ZeroAccumulators();
    for (int d = 0; d < steps; ++d) {
      const int before = (pass * steps + d) * kCalls;
      const auto between = [&](int call) {
        prefetcher.Advance(prefetcher.per_call);
        WorkOff<LeftParts(Parts)>(queue, queue.count * (before + call + 1) / calls);
      };
      const int64_t k_at = pass * Columns * next + d * kTileWords;
      if constexpr (Two) {
        StepTwoByTwo<Parts>(at.q, next, q_at + d * kTileWords, at.k, next, k_at, between);
      } else {
        StepOneBy<Parts, Columns>(at.q, q_at + d * kTileWords, at.k, next, k_at, between);
      }
    }
    StoreAccumulators<Two>(s, 4 * kTileFloats, Columns);
  }
}

// o += p x v for `halves` times 32 positions and the staged features [feature, feature + width).
template <int Parts, bool Two, int Columns>
void AddValueTiles(const Staging& at, int32_t head_dim, int tile, int halves, int32_t feature,
                   int32_t width, Prefetcher& prefetcher) {
  float* const o = at.o + int64_t{tile} * 16 * head_dim + feature * 16;
  const int64_t below = int64_t{16} * head_dim;  // from a row tile of o to the next
  const auto between = [&](int) { prefetcher.Advance(prefetcher.per_call); };
  for (int64_t d = 0; d < width / 16; d += Columns) {
    float* const c = o + d * kTileFloats;
    LoadAccumulators<Two>(c, below, Columns);
    for (int64_t half = 0; half < halves; ++half) {
      const int64_t v_at = half * 32 * width + d * kTileWords;
      if constexpr (Two) {
        StepTwoByTwo<Parts>(at.p, 2 * kTileWords, half * kTileWords, at.v, kTileWords, v_at,
                            between);
      } else {
        StepOneBy<Parts, Columns>(at.p, half * kTileWords, at.v, kTileWords, v_at, between);
      }
    }
    StoreAccumulators<Two>(c, below, Columns);
  }
}

// ---- The walk --------------------------------------------------------------------------------

template <int Parts>
inline void ScoreGroup(const Staging& at, float* s, int32_t head_dim, int tile, int count,
                       int halves, SoftmaxQueue& queue, Prefetcher& prefetcher) {
  if (count > 16) {
    ScoreTiles<Parts, true, 2>(at, s, head_dim, tile, halves, queue, prefetcher);
  } else if (halves == 2) {
    ScoreTiles<Parts, false, 4>(at, s, head_dim, tile, halves, queue, prefetcher);
  } else {
    ScoreTiles<Parts, false, 2>(at, s, head_dim, tile, halves, queue, prefetcher);
  }
}

template <int Parts>
inline void AddGroupValues(const Staging& at, int32_t head_dim, int tile, int count, int halves,
                           Prefetcher& prefetcher) {
  if (count > 16) {
    AddValueTiles<Parts, true, 2>(at, head_dim, tile, halves, 0, head_dim, prefetcher);
  } else if (head_dim % 64 == 0) {
    AddValueTiles<Parts, false, 4>(at, head_dim, tile, halves, 0, head_dim, prefetcher);
  } else {
    AddValueTiles<Parts, false, 2>(at, head_dim, tile, halves, 0, head_dim, prefetcher);
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
  Prefetcher nothing = {};
  for (int r = 0; r < count; ++r) {
    StageValues<Kv>(rows, begin, rows.visible[first + r], 0, rows.head_dim, at, nothing);
    __builtin_memcpy(o, before, floats * sizeof(float));
    AddGroupValues<kParts<Kv>>(at, head_dim, first / 16, count, kStaged / 32, nothing);
    for (int32_t d = 0; d < head_dim; d += 16) {
      const int64_t part = int64_t{r / 16} * 16 * head_dim + d * 16 + r % 16 * 16;
      Store(after + part, Load(o + part));
    }
  }
  __builtin_memcpy(o, after, floats * sizeof(float));
  StageValues<Kv>(rows, begin, limit, 0, rows.head_dim, at, nothing);
}

struct AmxWalk {
  Staging at;
  RowState state[kMaxAttentionRows];
  RowTotal total[kMaxAttentionRows];
  int32_t last_visible;   // the most that a row sees
  int32_t first_visible;  // the least
};

// The same as WalkBlock for rows of one tile that all see the whole block, as decodes are: what is
// staged is used once, so little is at a time, and stays in the first-level cache.
template <typename Kv>
void WalkBlockOfFewRows(const AttentionRows& rows, AmxWalk& walk, int32_t begin,
                        Prefetcher& prefetcher) {
  constexpr int kP = kParts<Kv>;
  const int32_t head_dim = rows.head_dim;
  const Staging& at = walk.at;
  SoftmaxQueue queue = {&rows, &at, at.s[0], walk.state, begin, 0, 0, 0};
  for (int half = 0; half < kStaged / 32; ++half) {
    StageKeys<Kv>(rows, begin + half * 32, 2, walk.last_visible, at, prefetcher);
    ScoreTiles<kP, false, 2>(at, at.s[0] + half * 2 * kTileFloats, head_dim, 0, 1, queue,
                             prefetcher);
  }
  queue.count = rows.rows;
  WorkOff<LeftParts(kP)>(queue, queue.count);
  for (int32_t feature = 0; feature < head_dim; feature += 32) {
    StageValues<Kv>(rows, begin, walk.last_visible, feature, 32, at, prefetcher);
    AddValueTiles<kP, false, 2>(at, head_dim, 0, kStaged / 32, feature, 32, prefetcher);
  }
}

// The positions from begin on, up to 64, for all rows.
template <typename Kv>
void WalkBlock(const AttentionRows& rows, AmxWalk& walk, int32_t begin, int32_t walk_end) {
  constexpr int kP = kParts<Kv>;
  const int32_t head_dim = rows.head_dim;
  const Staging& at = walk.at;
  const int32_t end = begin + kStaged;
  Prefetcher prefetcher = PrefetchBlock<Kv>(rows, end, walk_end);
  if (rows.rows <= 16 && end <= walk.first_visible) {
    return WalkBlockOfFewRows<Kv>(rows, walk, begin, prefetcher);
  }
  StageKeys<Kv>(rows, begin, kStaged / 16, walk.last_visible, at, prefetcher);
  StageValues<Kv>(rows, begin, walk.last_visible, 0, rows.head_dim, at, prefetcher);
  bool finite = true;
  if (end > walk.first_visible) {
    for (int part = 0; part < kP; ++part) {
      finite &= !AnyNotFinite(at.v[part], int64_t{kStaged} * head_dim);
    }
  }
  // A group's softmax runs beside the next one's scores.
  SoftmaxQueue queue = {&rows, &at, nullptr, walk.state, begin, 0, 0, 0};
  int halves = 0;
  bool all_see_all = true;
  const auto finish_group = [&] {
    WorkOff<LeftParts(kP)>(queue, queue.count);
    if (queue.count == 0) return;
    if (finite || all_see_all) {
      AddGroupValues<kP>(at, head_dim, queue.first / 16, queue.count, halves, prefetcher);
    } else {
      AddValuesRowByRow<Kv>(rows, at, begin, walk.last_visible, queue.first, queue.count);
    }
  };
  for (int first = 0; first < rows.rows; first += kGroupRows) {
    const int count = rows.rows - first < kGroupRows ? rows.rows - first : kGroupRows;
    int32_t most = 0, least = rows.visible[first];
    for (int r = first; r < first + count; ++r) {
      most = rows.visible[r] > most ? rows.visible[r] : most;
      least = rows.visible[r] < least ? rows.visible[r] : least;
    }
    if (most <= begin) continue;
    float* const s = at.s[first / kGroupRows % 2];
    const int new_halves = most - begin > 32 ? 2 : 1;
    ScoreGroup<kP>(at, s, head_dim, first / 16, count, new_halves, queue, prefetcher);
    finish_group();
    queue = {&rows, &at, s, walk.state, begin, first, count, 0};
    halves = new_halves;
    all_see_all = least >= end;
  }
  finish_group();
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
  for (float* group : walk.at.s) __builtin_memset(group, 0, sizeof(float) * kGroupRows * kStaged);
  for (uint16_t* part : walk.at.p) __builtin_memset(part, 0, 2 * kGroupRows * kStaged);
  for (uint16_t* part : walk.at.k) __builtin_memset(part, 0, size_t{2} * kStaged * head_dim);
  ConfigureTiles(rows.rows < 16 ? rows.rows : 16);
  const SpanRange spans = SpansOf(rows, walk.last_visible);
  for (int32_t begin = spans.begin; begin < spans.end; begin += kAttentionSpan) {
    __builtin_memset(walk.at.o, 0, sizeof(float) * padded * head_dim);
    for (int32_t r = 0; r < rows.rows; ++r) walk.state[r] = {-__builtin_inff(), Zero()};
    const int32_t end =
        begin + kAttentionSpan < walk.last_visible ? begin + kAttentionSpan : walk.last_visible;
    for (int32_t block = begin; block < end; block += kStaged)
      WalkBlock<Kv>(rows, walk, block, spans.end);
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
