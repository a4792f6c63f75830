// Attention of up to eight rows (token, head) that share a KV head, over one sequence's blocks.
//
// Per row, for each block of 16 positions in order:
//   s_j = sum_d fused (q[d] * scale) * K[d][j], d ascending; hidden positions are -infinity
//   m'  = max(m, max_j s_j);  a = exp(m - m');  p_j = exp(s_j - m')
//   l   = fused l * a + p (16 lanes);  o[d] = o[d] * a, then fused p_j * V[j][d] + o[d], j
//   ascending
// K has positions as lanes, V has head_dim as lanes. Every kAttentionSpan positions this begins
// anew, and the spans' results are joined in position order:
//   M' = max(M, m);  A = exp(M - M');  B = exp(m - M');  L = L A + l B;  O[d] = fused o[d] B + O[d]
//   A
// with l the sum of its lanes, so that spans may also be worked on at the same time. At the end
// O[d] / L. Every row does this for exactly the positions it sees: sharing a call changes no bits.
// No include guard: compiled once per instruction set, after its vec16_*.h and pointwise-inl.h.

namespace vallm::engine {
namespace {

inline Vec LoadKv(const uint16_t* p) { return LoadBf16(p); }
inline Vec LoadKv(const float* p) { return Load(p); }
inline Vec LoadKv(const uint8_t* p) {
  const Vec x = Mul(LoadE4m3(p), Set1(256.0f));
  // NaN reads as +-480, which is no e4m3 number.
  const Vec limit = Set1(480.0f), nan = Set1(__builtin_nanf(""));
  const Vec above = ZeroWhereLess(x, limit, nan);
  return Add(x, Add(above, ZeroWhereLess(Sub(Zero(), x), limit, nan)));
}

struct RowState {
  float max;
  Vec sum;
};

// What the spans up to now come to; their weighted values are in AttentionRows::out.
struct RowTotal {
  float max;
  float sum;
};

struct SpanRange {
  int32_t begin, end;  // positions
};

inline SpanRange SpansOf(const AttentionRows& rows, int32_t last_visible) {
  if (rows.partial == nullptr) return {0, last_visible};
  const int32_t end = rows.span_begin + kAttentionSpan;
  return {rows.span_begin, end < last_visible ? end : last_visible};
}

inline float ExpOf(float x) {
  float lanes[16];
  Store(lanes, Exp(Set1(x)));
  return lanes[0];
}

// Joins a span to the ones before it. o: head_dim / 16 vectors, o_stride floats apart.
inline void AddSpan(bool first, float max, float sum, const float* o, int32_t o_stride,
                    int32_t head_dim, RowTotal& total, float* out) {
  if (first) {
    total = {max, sum};
    for (int32_t d = 0; d < head_dim; d += 16, o += o_stride) Store(out + d, Load(o));
    return;
  }
  const float new_max = max > total.max ? max : total.max;
  const float old_scale = ExpOf(total.max - new_max);
  const float scale = ExpOf(max - new_max);
  total = {new_max, total.sum * old_scale + sum * scale};
  for (int32_t d = 0; d < head_dim; d += 16, o += o_stride) {
    Store(out + d, Fma(Load(o), Set1(scale), Mul(Load(out + d), Set1(old_scale))));
  }
}

// Adding zero makes a negative zero positive: on tiles its sign may depend on other rows.
inline void FinishRow(float sum, int32_t head_dim, float* out) {
  for (int32_t d = 0; d < head_dim; d += 16) {
    Store(out + d, Add(Div(Load(out + d), Set1(sum)), Zero()));
  }
}

// Hands over what the span from `begin` on gave for row r.
inline void EndSpan(const AttentionRows& rows, int32_t r, int32_t begin, const RowState& state,
                    const float* o, int32_t o_stride, RowTotal& total) {
  if (rows.visible[r] <= begin) return;
  const int32_t head_dim = rows.head_dim;
  const float sum = ReduceAdd(state.sum);
  if (rows.partial != nullptr) {
    float* const to = rows.partial + r * PartialWidth(head_dim);
    for (int32_t d = 0; d < head_dim; d += 16, o += o_stride) Store(to + d, Load(o));
    to[head_dim] = state.max;
    to[head_dim + 1] = sum;
    return;
  }
  AddSpan(begin == 0, state.max, sum, o, o_stride, head_dim, total, rows.out[r]);
  if (rows.visible[r] <= begin + kAttentionSpan) FinishRow(total.sum, head_dim, rows.out[r]);
}

void JoinSpans(const float* partial, int64_t span_stride, int32_t spans, int32_t head_dim,
               float* out) {
  RowTotal total = {};
  for (int32_t i = 0; i < spans; ++i, partial += span_stride) {
    AddSpan(i == 0, partial[head_dim], partial[head_dim + 1], partial, 16, head_dim, total, out);
  }
  FinishRow(total.sum, head_dim, out);
}

// Scores of R rows against the 16 positions of a block. q: [head_dim][R].
template <int R, typename Kv>
inline void Scores(const float* q, const Kv* k, int32_t head_dim, Vec* scores) {
  Vec s[R];
  for (int r = 0; r < R; ++r) s[r] = Zero();
  for (int32_t d = 0; d < head_dim; ++d) {
    const Vec column = LoadKv(k + d * 16);
    for (int r = 0; r < R; ++r) s[r] = Fma(Set1(q[d * R + r]), column, s[r]);
  }
  for (int r = 0; r < R; ++r) scores[r] = s[r];
}

// o[r] = o[r] * decay[r] + sum_j p[j][r] * V[j], j < count, for D vectors of head_dim from v.
// `stride` separates the rows of p and of o.
template <int R, int D, typename Kv>
inline void AddValues(const float* p, int32_t p_stride, const float* decay, const Kv* v,
                      int32_t head_dim, int32_t count, float* o, int32_t o_stride) {
  Vec acc[R][D];
  for (int r = 0; r < R; ++r) {
    for (int i = 0; i < D; ++i) acc[r][i] = Mul(Load(o + r * o_stride + i * 16), Set1(decay[r]));
  }
  for (int32_t j = 0; j < count; ++j) {
    Vec value[D];
    for (int i = 0; i < D; ++i) value[i] = LoadKv(v + j * head_dim + i * 16);
    for (int r = 0; r < R; ++r) {
      const Vec weight = Set1(p[r * p_stride + j]);
      for (int i = 0; i < D; ++i) acc[r][i] = Fma(weight, value[i], acc[r][i]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int i = 0; i < D; ++i) Store(o + r * o_stride + i * 16, acc[r][i]);
  }
}

template <int R, typename Kv>
inline void AddBlock(const float* p, const float* decay, const Kv* v, int32_t head_dim,
                     int32_t count, float* o) {
  constexpr int kVectors = R <= 4 ? 4 : 2;
  int32_t d = 0;
  for (; d + kVectors * 16 <= head_dim; d += kVectors * 16) {
    AddValues<R, kVectors>(p, 16, decay, v + d, head_dim, count, o + d, kMaxHeadDim);
  }
  for (; d < head_dim; d += 32) {
    AddValues<R, 2>(p, 16, decay, v + d, head_dim, count, o + d, kMaxHeadDim);
  }
}

template <int R, typename Kv>
inline void WalkSpan(const AttentionRows& rows, int32_t begin, int32_t end, const float* q,
                     RowState* state, float (*o)[kMaxHeadDim]) {
  const int32_t head_dim = rows.head_dim;
  for (; begin < end; begin += 16) {
    const int64_t offset = rows.blocks[begin / 16] * rows.block_stride;
    const Kv* const v = static_cast<const Kv*>(rows.v) + offset;
    Vec scores[R];
    Scores<R>(q, static_cast<const Kv*>(rows.k) + offset, head_dim, scores);
    float p[R][16];
    float decay[R] = {};
    bool all_full = true;
    for (int r = 0; r < R; ++r) {
      const int32_t count = rows.visible[r] - begin;
      all_full &= count >= 16;
      if (count <= 0) continue;
      const Vec s = FirstOr(count < 16 ? count : 16, scores[r], Set1(-__builtin_inff()));
      const float block_max = ReduceMax(s);
      const float max = block_max > state[r].max ? block_max : state[r].max;
      const Vec e = Exp(Sub(s, Set1(max)));
      decay[r] = ExpOf(state[r].max - max);
      state[r].max = max;
      state[r].sum = Fma(state[r].sum, Set1(decay[r]), e);
      Store(p[r], e);
    }
    if (all_full) {
      AddBlock<R>(p[0], decay, v, head_dim, 16, o[0]);
      continue;
    }
    // Positions beyond a row's own hold other rows' values or leftovers: not even times zero.
    for (int r = 0; r < R; ++r) {
      const int32_t count = rows.visible[r] - begin;
      if (count <= 0) continue;
      AddBlock<1>(p[r], decay + r, v, head_dim, count < 16 ? count : 16, o[r]);
    }
  }
}

// The span from `begin` on, for R rows.
template <int R, typename Kv>
void AttendSpan(const AttentionRows& rows, int32_t begin, RowTotal* total) {
  const int32_t head_dim = rows.head_dim;
  float q[kMaxHeadDim * R];
  float o[R][kMaxHeadDim];
  RowState state[R];
  int32_t end = 0;
  for (int r = 0; r < R; ++r) {
    for (int32_t d = 0; d < head_dim; ++d) q[d * R + r] = rows.q[r][d] * rows.scale;
    for (int32_t d = 0; d < head_dim; d += 16) Store(o[r] + d, Zero());
    state[r] = {-__builtin_inff(), Zero()};
    end = rows.visible[r] > end ? rows.visible[r] : end;
  }
  end = begin + kAttentionSpan < end ? begin + kAttentionSpan : end;
  WalkSpan<R, Kv>(rows, begin, end, q, state, o);
  for (int r = 0; r < R; ++r) EndSpan(rows, r, begin, state[r], o[r], 16, total[r]);
}

// Rows in groups of eight; a span's keys and values stay in the cache from group to group.
template <typename Kv>
void AttendTyped(const AttentionRows& rows) {
  AttentionRows part = rows;
  RowTotal total[kMaxAttentionRows];
  int32_t last_visible = 0;
  for (int32_t r = 0; r < rows.rows; ++r) {
    last_visible = rows.visible[r] > last_visible ? rows.visible[r] : last_visible;
  }
  const SpanRange spans = SpansOf(rows, last_visible);
  for (int32_t begin = spans.begin; begin < spans.end; begin += kAttentionSpan) {
    int32_t size = 0;
    for (int32_t done = 0; done < rows.rows; done += size) {
      const int32_t rest = rows.rows - done;
      size = rest >= 8 ? 8 : rest >= 4 ? 4 : rest >= 2 ? 2 : 1;
      for (int32_t r = 0; r < size; ++r) {
        part.q[r] = rows.q[done + r];
        part.out[r] = rows.out[done + r];
        part.visible[r] = rows.visible[done + r];
      }
      if (rows.partial != nullptr) part.partial = rows.partial + done * PartialWidth(rows.head_dim);
      switch (size) {
        case 8:
          AttendSpan<8, Kv>(part, begin, total + done);
          break;
        case 4:
          AttendSpan<4, Kv>(part, begin, total + done);
          break;
        case 2:
          AttendSpan<2, Kv>(part, begin, total + done);
          break;
        default:
          AttendSpan<1, Kv>(part, begin, total + done);
          break;
      }
    }
  }
}

void Attend(const AttentionRows& rows) {
  if (rows.element_bytes == 4) {
    AttendTyped<float>(rows);
  } else if (rows.element_bytes == 2) {
    AttendTyped<uint16_t>(rows);
  } else {
    AttendTyped<uint8_t>(rows);
  }
}

int64_t AttentionScratchBytes(int32_t) { return 0; }

}  // namespace
}  // namespace vallm::engine
