// Exponential, norm, rotation and gating over vectors of 16.
// No include guard: compiled once per instruction set, after its vec16_*.h.

namespace vallm::engine {
namespace {

// e^x for x <= 88, within 2 ulp; 0 below -87 (where a float would become subnormal).
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor polynomial of degree 7 (remainder 6e-9).
inline Vec Exp(Vec x) {
  const Vec lowest = Set1(-87.0f);
  const Vec clamped = Min(Max(x, lowest), Set1(88.0f));
  // Adding and subtracting 1.5 * 2^23 rounds to a whole number, halves to even.
  const Vec magic = Set1(12582912.0f);
  const Vec n = Sub(Fma(clamped, Set1(1.44269504f), magic), magic);
  // ln 2 in two parts: n times the first is exact.
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
  return ZeroWhereLess(x, lowest, Mul(p, Pow2(n)));
}

void RmsNorm(const float* x, const float* weight, float eps, int32_t width, float* out) {
  Vec squares = Zero();
  for (int32_t i = 0; i < width; i += 16) {
    const Vec a = Load(x + i);
    squares = Fma(a, a, squares);
  }
  const float mean = ReduceAdd(squares) / static_cast<float>(width);
  const Vec scale = Set1(1.0f / __builtin_sqrtf(mean + eps));
  for (int32_t i = 0; i < width; i += 16) {
    Store(out + i, Mul(Mul(Load(x + i), scale), Load(weight + i)));
  }
}

void RotateHead(float* head, const float* cos_sin, int32_t head_dim) {
  const int32_t half = head_dim / 2;
  for (int32_t i = 0; i < half; i += 16) {
    const Vec a = Load(head + i), b = Load(head + half + i);
    const Vec c = Load(cos_sin + i), s = Load(cos_sin + half + i);
    Store(head + i, Sub(Mul(a, c), Mul(b, s)));
    Store(head + half + i, Add(Mul(b, c), Mul(a, s)));
  }
}

void SiluMul(const float* gate, const float* up, int32_t n, float* out) {
  const Vec one = Set1(1.0f);
  for (int32_t i = 0; i < n; i += 16) {
    const int lanes = n - i < 16 ? n - i : 16;
    const Vec g = LoadFirst(gate + i, lanes);
    const Vec silu = Div(g, Add(one, Exp(Sub(Zero(), g))));
    StoreFirst(out + i, Mul(silu, LoadFirst(up + i, lanes)), lanes);
  }
}

void ExpShifted(const float* x, float shift, int32_t n, float* out) {
  for (int32_t i = 0; i < n; i += 16) {
    const int lanes = n - i < 16 ? n - i : 16;
    StoreFirst(out + i, Exp(Sub(LoadFirst(x + i, lanes), Set1(shift))), lanes);
  }
}

}  // namespace
}  // namespace vallm::engine
