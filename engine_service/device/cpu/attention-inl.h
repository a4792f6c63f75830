// Attention of up to eight rows (token, head) that share a KV head, over one sequence's blocks.
//
// Per row, for each block of 16 positions in order:
//   s_j = sum_d fused (q[d] * scale) * K[d][j], d ascending; hidden positions are -infinity
//   m'  = max(m, max_j s_j);  a = exp(m - m');  p_j = exp(s_j - m')
//   l   = fused l * a + p (16 lanes);  o[d] = o[d] * a, then fused p_j * V[j][d] + o[d], j
//   ascending
// and at the end o[d] / (sum of the lanes of l). K has positions as lanes, V has head_dim as lanes.
// Every row does this for exactly the positions it sees, so sharing a call changes no bits.
// No include guard: compiled once per instruction set, after its vec16_*.h and pointwise-inl.h.

namespace vallm::engine {
namespace {

inline Vec LoadKv(const uint16_t* p) { return LoadBf16(p); }
inline Vec LoadKv(const float* p) { return Load(p); }

struct RowState {
  float max;
  Vec sum;
};

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
void AttendRows(const AttentionRows& rows) {
  const Kv* const k = static_cast<const Kv*>(rows.k);
  const Kv* const v = static_cast<const Kv*>(rows.v);
  const int32_t head_dim = rows.head_dim;
  float q[kMaxHeadDim * R];
  float o[R][kMaxHeadDim];
  RowState state[R];
  int32_t positions = 0;
  for (int r = 0; r < R; ++r) {
    for (int32_t d = 0; d < head_dim; ++d) {
      q[d * R + r] = rows.q[r][d] * rows.scale;
      o[r][d] = 0.0f;
    }
    state[r] = {-__builtin_inff(), Zero()};
    positions = rows.visible[r] > positions ? rows.visible[r] : positions;
  }
  for (int32_t begin = 0; begin < positions; begin += 16) {
    const int64_t offset = rows.blocks[begin / 16] * rows.block_stride;
    Vec scores[R];
    Scores<R>(q, k + offset, head_dim, scores);
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
      float lanes[16];
      Store(lanes, Exp(Set1(state[r].max - max)));
      decay[r] = lanes[0];
      state[r].max = max;
      state[r].sum = Fma(state[r].sum, Set1(decay[r]), e);
      Store(p[r], e);
    }
    if (all_full) {
      AddBlock<R>(p[0], decay, v + offset, head_dim, 16, o[0]);
      continue;
    }
    // Positions beyond a row's own hold other rows' values or leftovers: not even times zero.
    for (int r = 0; r < R; ++r) {
      const int32_t count = rows.visible[r] - begin;
      if (count <= 0) continue;
      AddBlock<1>(p[r], decay + r, v + offset, head_dim, count < 16 ? count : 16, o[r]);
    }
  }
  for (int r = 0; r < R; ++r) {
    const Vec total = Set1(ReduceAdd(state[r].sum));
    for (int32_t d = 0; d < head_dim; d += 16) {
      Store(rows.out[r] + d, Div(Load(o[r] + d), total));
    }
  }
}

template <typename Kv>
void AttendTyped(const AttentionRows& rows) {
  AttentionRows part = rows;
  int32_t done = 0;
  while (done < rows.rows) {
    const int32_t rest = rows.rows - done;
    const int32_t size = rest >= 8 ? 8 : rest >= 4 ? 4 : rest >= 2 ? 2 : 1;
    for (int32_t r = 0; r < size; ++r) {
      part.q[r] = rows.q[done + r];
      part.out[r] = rows.out[done + r];
      part.visible[r] = rows.visible[done + r];
    }
    switch (size) {
      case 8:
        AttendRows<8, Kv>(part);
        break;
      case 4:
        AttendRows<4, Kv>(part);
        break;
      case 2:
        AttendRows<2, Kv>(part);
        break;
      default:
        AttendRows<1, Kv>(part);
        break;
    }
    done += size;
  }
}

void Attend(const AttentionRows& rows) {
  if (rows.f32) {
    AttendTyped<float>(rows);
  } else {
    AttendTyped<uint16_t>(rows);
  }
}

}  // namespace
}  // namespace vallm::engine
