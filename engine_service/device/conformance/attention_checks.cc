// Head norm and rotation, cache writes and attention: real models' heads, every KV type, and law
// E4.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine_service/device/conformance/check.h"
#include "engine_service/device/conformance/test_weights.h"

namespace vallm::engine::conformance {
namespace {

struct KvChoice {
  KvType type;
  const char* name;
};
constexpr KvChoice kKvTypes[] = {
    {KvType::kF32, "f32"}, {KvType::kBf16, "bf16"}, {KvType::kF8E4m3, "f8_e4m3"}};

// What a cache of the type holds of x.
double Rounded(KvType type, float x) {
  switch (type) {
    case KvType::kBf16:
      return Bf16ToDouble(FloatToBf16(x));
    case KvType::kF8E4m3:
      return NearestE4m3(x);
    case KvType::kF32:
      break;
  }
  return double{x};
}

struct NamedHeads {
  const char* name;
  HeadLayout heads;
};
constexpr NamedHeads kHeads[] = {
    {"Qwen3-0.6B (16/8 x 128)", {16, 8, 128}},
    {"Qwen3-14B TP8 (5/1 x 128)", {5, 1, 128}},
    {"Qwen3-32B TP4 (16/2 x 128)", {16, 2, 128}},
    {"Qwen3-30B-A3B (32/4 x 128)", {32, 4, 128}},
    {"Qwen3-30B-A3B TP8 (4/1 x 128)", {4, 1, 128}},
    {"Qwen3-235B-A22B TP16 (4/1 x 128)", {4, 1, 128}},
    {"one head of 32", {1, 1, 32}},
    {"3/1 x 96", {3, 1, 96}},
    {"2/2 x 256", {2, 2, 256}},
};

// ---- Norm and rotation
// ---------------------------------------------------------------------------

struct NormRope {
  HeadLayout heads;
  std::vector<float> q_weight, k_weight;

  explicit NormRope(const HeadLayout& layout)
      : heads(layout),
        q_weight(RandomFloats(layout.head_dim, 31)),
        k_weight(RandomFloats(layout.head_dim, 32)) {}

  std::vector<float> CosSin(int64_t rows) const {
    std::vector<float> values;
    const int32_t half = heads.head_dim / 2;
    for (int64_t row = 0; row < rows; ++row) {
      for (int32_t i = 0; i < 2 * half; ++i) {
        const double angle =
            static_cast<double>(row * 1117 + 3) * std::pow(1e6, -1.0 * (i % half) / half);
        values.push_back(static_cast<float>(i < half ? std::cos(angle) : std::sin(angle)));
      }
    }
    return values;
  }

  absl::StatusOr<std::vector<float>> Run(Bench& bench, const std::vector<float>& qkv,
                                         const std::vector<float>& cos_sin, int64_t rows) const {
    VALLM_ASSIGN_OR_RETURN(const auto in, bench.PutRows(qkv, heads.row_width()));
    VALLM_ASSIGN_OR_RETURN(const auto q, bench.Put(q_weight));
    VALLM_ASSIGN_OR_RETURN(const auto k, bench.Put(k_weight));
    VALLM_ASSIGN_OR_RETURN(const auto angles, bench.PutRows(cos_sin, heads.head_dim));
    VALLM_RETURN_IF_ERROR(bench.device().NormRopeHeads(*in, rows, heads, *q, *k, 1e-6f, *angles));
    return bench.Get<float>(*in, rows * heads.row_width());
  }

  std::vector<double> Reference(const std::vector<float>& qkv, const std::vector<float>& cos_sin,
                                int64_t rows) const {
    std::vector<double> want(qkv.begin(), qkv.end());
    const int64_t dim = heads.head_dim, half = dim / 2;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t h = 0; h < heads.q_heads + heads.kv_heads; ++h) {
        double* x = want.data() + row * heads.row_width() + h * dim;
        const float* weight = (h < heads.q_heads ? q_weight : k_weight).data();
        double squares = 0;
        for (int64_t i = 0; i < dim; ++i) squares += x[i] * x[i];
        const double scale = 1 / std::sqrt(squares / static_cast<double>(dim) + 1e-6f);
        for (int64_t i = 0; i < half; ++i) {
          const double a = x[i] * scale * weight[i], b = x[i + half] * scale * weight[i + half];
          const double c = cos_sin[static_cast<size_t>(row * dim + i)];
          const double s = cos_sin[static_cast<size_t>(row * dim + half + i)];
          x[i] = a * c - b * s;
          x[i + half] = b * c + a * s;
        }
      }
    }
    return want;
  }
};

absl::StatusOr<Finding> NormRopeIsClose(Bench& bench, const HeadLayout& heads, int64_t rows) {
  const NormRope op(heads);
  const std::vector<float> qkv = RandomFloats(rows * heads.row_width(), 33);
  const std::vector<float> cos_sin = op.CosSin(rows);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, op.Run(bench, qkv, cos_sin, rows));
  const int64_t values = int64_t{heads.kv_heads} * heads.head_dim;
  for (int64_t row = 0; row < rows; ++row) {
    const auto begin = static_cast<size_t>((row + 1) * heads.row_width() - values);
    const Finding same = SameBits(std::span(got).subspan(begin, static_cast<size_t>(values)),
                                  std::span(qkv).subspan(begin, static_cast<size_t>(values)),
                                  values, "the V part, which is not to be touched");
    if (same.outcome != Outcome::kPassed) return same;
  }
  return CompareToLargest(got, op.Reference(qkv, cos_sin, rows), heads.row_width(), 1e-6);
}

absl::StatusOr<Finding> NormRopeRows(Bench& bench) {
  const HeadLayout heads = {4, 2, 128};
  const NormRope op(heads);
  constexpr int64_t kRows = 9;
  const std::vector<float> qkv = RandomFloats(kRows * heads.row_width(), 34);
  const std::vector<float> cos_sin = op.CosSin(kRows);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> whole, op.Run(bench, qkv, cos_sin, kRows));
  for (int64_t row = 0; row < kRows; ++row) {
    const auto at = row * heads.row_width();
    const std::vector<float> one(qkv.begin() + at, qkv.begin() + at + heads.row_width());
    const std::vector<float> angles(cos_sin.begin() + row * 128, cos_sin.begin() + (row + 1) * 128);
    VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, op.Run(bench, one, angles, 1));
    const Finding same = SameBits(
        got,
        std::span(whole).subspan(static_cast<size_t>(at), static_cast<size_t>(heads.row_width())),
        heads.row_width(), std::string(absl::StrCat("row ", row, " on its own")));
    if (same.outcome != Outcome::kPassed) return same;
  }
  return Passed();
}

// ---- Attention
// -----------------------------------------------------------------------------------

// One sequence, whose positions lie in blocks of a cache in an order of their own. Slots that were
// never stored to hold NaN.
class Sequence {
 public:
  // `scale` spreads the scores: at 30 a softmax is nearly one-hot.
  Sequence(const HeadLayout& heads, KvType type, int32_t tokens, uint64_t seed, float scale = 1)
      : heads_(heads), type_(type), tokens_(tokens) {
    qkv_ = RandomFloats(int64_t{tokens} * heads.row_width(), seed);
    for (int64_t row = 0; row < tokens; ++row) {
      float* q = qkv_.data() + row * heads.row_width();
      for (int64_t i = 0; i < int64_t{heads.q_heads} * heads.head_dim; ++i) q[i] *= scale;
    }
  }

  int32_t blocks() const { return (tokens_ + kKvBlockSize - 1) / kKvBlockSize; }
  int64_t out_width() const { return int64_t{heads_.q_heads} * heads_.head_dim; }
  std::vector<float>& qkv() { return qkv_; }
  const std::vector<float>& qkv() const { return qkv_; }
  int32_t tokens() const { return tokens_; }
  const HeadLayout& heads() const { return heads_; }

  // Block i of the table is block (i * stride + first) of the cache, which has `cache_blocks`.
  std::vector<int32_t> Table(int32_t first, int32_t stride, int32_t cache_blocks) const {
    std::vector<int32_t> table;
    for (int32_t i = 0; i < blocks(); ++i) table.push_back((i * stride + first) % cache_blocks);
    return table;
  }

  // Stores all rows and attends for rows `begin` and up in runs of `chunk`.
  absl::StatusOr<std::vector<float>> Run(Bench& bench, int32_t begin, int32_t chunk,
                                         int32_t first_block = 0, int32_t stride = 1) const {
    Device& device = bench.device();
    // A prime number of blocks, so that any stride visits all of them.
    int32_t cache_blocks = blocks() + 2;
    const auto prime = [](int32_t n) {
      for (int32_t d = 2; d * d <= n; ++d) {
        if (n % d == 0) return false;
      }
      return true;
    };
    while (!prime(cache_blocks)) ++cache_blocks;
    const std::vector<int32_t> table = Table(first_block, stride, cache_blocks);
    const int64_t bytes = device.KvBytes(heads_, type_, cache_blocks);
    if (bytes <= 0) return absl::UnimplementedError("no cache of this type for these heads");
    const std::vector<uint8_t> nan(static_cast<size_t>(bytes), 0xff);
    VALLM_ASSIGN_OR_RETURN(const auto k, bench.Put(nan));
    VALLM_ASSIGN_OR_RETURN(const auto v, bench.Put(nan));
    VALLM_ASSIGN_OR_RETURN(const auto in, bench.PutRows(qkv_, heads_.row_width()));
    std::vector<int32_t> slots;
    for (int32_t i = 0; i < tokens_; ++i) {
      slots.push_back(table[static_cast<size_t>(i / kKvBlockSize)] * kKvBlockSize +
                      i % kKvBlockSize);
    }
    VALLM_RETURN_IF_ERROR(device.StoreKv(*in, heads_, type_, slots, *k, *v));
    VALLM_ASSIGN_OR_RETURN(const auto out, bench.PutOutput(tokens_ * out_width()));
    for (int32_t row = begin; row < tokens_; row += chunk) {
      const AttentionChunk part = {row, std::min(chunk, tokens_ - row), row, 0};
      VALLM_RETURN_IF_ERROR(device.Attention(*in, heads_, type_, {&part, 1}, table, *k, *v, *out));
    }
    VALLM_ASSIGN_OR_RETURN(const std::vector<float> all,
                           bench.GetOutput(*out, tokens_ * out_width()));
    return std::vector<float>(all.begin() + begin * out_width(), all.end());
  }

  // The outputs of rows `begin` and up.
  std::vector<double> Reference(int32_t begin) const {
    std::vector<double> out, cached;
    const int64_t dim = heads_.head_dim, width = heads_.row_width();
    for (const float x : qkv_) cached.push_back(Rounded(type_, x));
    for (int64_t row = begin; row < tokens_; ++row) {
      for (int64_t h = 0; h < heads_.q_heads; ++h) {
        const int64_t g = h / (heads_.q_heads / heads_.kv_heads);
        const int64_t k = (heads_.q_heads + g) * dim, v = k + heads_.kv_heads * dim;
        const float* q = qkv_.data() + row * width + h * dim;
        std::vector<double> p;
        double largest = -std::numeric_limits<double>::infinity();
        for (int64_t j = 0; j <= row; ++j) {
          double score = 0;
          for (int64_t d = 0; d < dim; ++d)
            score += q[d] * cached[static_cast<size_t>(j * width + k + d)];
          p.push_back(score / std::sqrt(static_cast<double>(dim)));
          largest = std::max(largest, p.back());
        }
        double total = 0;
        for (double& x : p) total += x = std::exp(x - largest);
        for (int64_t d = 0; d < dim; ++d) {
          double sum = 0;
          for (int64_t j = 0; j <= row; ++j) {
            sum += p[static_cast<size_t>(j)] * cached[static_cast<size_t>(j * width + v + d)];
          }
          out.push_back(sum / total);
        }
      }
    }
    return out;
  }

 private:
  HeadLayout heads_;
  KvType type_;
  int32_t tokens_;
  std::vector<float> qkv_;
};

absl::StatusOr<Finding> AttentionIsClose(Bench& bench, const HeadLayout& heads, KvType type,
                                         int32_t tokens, int32_t begin, float scale) {
  const Sequence sequence(heads, type, tokens, 41, scale);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> got,
                         sequence.Run(bench, begin, tokens, /*first_block=*/2, /*stride=*/3));
  // Scores that are spread pass their own rounding on to the result. Against a cache of fewer bits
  // operands may be short of a float's last ones.
  const double spread = scale > 1 ? 10 : 1;
  const double f32 = spread * (type == KvType::kF32 ? 5e-6 : 5e-5);
  return CompareToLargest(got, sequence.Reference(begin), sequence.out_width(),
                          bench.ProductTolerance(f32, spread * 2e-2));
}

absl::StatusOr<Finding> ChunksChangeNoBit(Bench& bench, const HeadLayout& heads, KvType type) {
  const Sequence sequence(heads, type, /*tokens=*/70, 42);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> whole, sequence.Run(bench, 0, 70));
  for (const int32_t chunk : {1, 2, 7, 16, 33, 64}) {
    VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, sequence.Run(bench, 0, chunk));
    const Finding same = SameBits(got, whole, sequence.out_width(),
                                  std::string(absl::StrCat("in chunks of ", chunk)));
    if (same.outcome != Outcome::kPassed) return same;
  }
  return Passed();
}

absl::StatusOr<Finding> BlocksChangeNoBit(Bench& bench, KvType type) {
  const Sequence sequence({8, 2, 128}, type, /*tokens=*/70, 43);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> whole, sequence.Run(bench, 0, 70));
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, sequence.Run(bench, 0, 70, 3, 2));
  return SameBits(got, whole, sequence.out_width(), "with the blocks in another order");
}

// The first rows do not notice what is stored behind them, NaN included.
absl::StatusOr<Finding> RowsSeeNothingBehind(Bench& bench, KvType type) {
  Sequence sequence({4, 2, 64}, type, /*tokens=*/40, 44);
  VALLM_ASSIGN_OR_RETURN(std::vector<float> before, sequence.Run(bench, 0, 40));
  const auto first = static_cast<size_t>(10 * sequence.heads().row_width());
  std::fill(sequence.qkv().begin() + static_cast<ptrdiff_t>(first), sequence.qkv().end(),
            std::numeric_limits<float>::quiet_NaN());
  VALLM_ASSIGN_OR_RETURN(std::vector<float> after, sequence.Run(bench, 0, 40));
  before.resize(static_cast<size_t>(10 * sequence.out_width()));
  after.resize(before.size());
  return SameBits(after, before, sequence.out_width(), "ten rows in front of NaN");
}

// Several sequences in one call give what each gives alone; rows of no chunk are left alone.
absl::StatusOr<Finding> SequencesAreIndependent(Bench& bench, KvType type) {
  const HeadLayout heads = {8, 2, 128};
  const Sequence sequences[] = {{heads, type, 5, 45}, {heads, type, 33, 46}, {heads, type, 17, 47}};
  // Rows of all, with one in between that no chunk covers; blocks of all in one cache.
  std::vector<float> rows;
  std::vector<int32_t> slots, table;
  std::vector<AttentionChunk> chunks;
  std::vector<float> want;
  constexpr int32_t kCacheBlocks = 11;
  int32_t next_block = 0, next_row = 0;
  constexpr float kUntouched = -7.25f;
  for (const Sequence& sequence : sequences) {
    const auto table_begin = static_cast<int32_t>(table.size());
    for (int32_t i = 0; i < sequence.blocks(); ++i)
      table.push_back(next_block++ * 3 % kCacheBlocks);
    for (int32_t i = 0; i < sequence.tokens(); ++i) {
      slots.push_back(table[static_cast<size_t>(table_begin + i / kKvBlockSize)] * kKvBlockSize +
                      i % kKvBlockSize);
    }
    rows.insert(rows.end(), sequence.qkv().begin(), sequence.qkv().end());
    // The last but one position onwards, as when a chunk follows another.
    const int32_t begin = sequence.tokens() - 2;
    chunks.push_back({next_row + begin, 2, begin, table_begin});
    VALLM_ASSIGN_OR_RETURN(const std::vector<float> alone, sequence.Run(bench, begin, 2));
    want.insert(want.end(), static_cast<size_t>(begin * sequence.out_width()), kUntouched);
    want.insert(want.end(), alone.begin(), alone.end());
    next_row += sequence.tokens();
  }
  Device& device = bench.device();
  const std::vector<uint8_t> nan(static_cast<size_t>(device.KvBytes(heads, type, kCacheBlocks)),
                                 0xff);
  VALLM_ASSIGN_OR_RETURN(const auto k, bench.Put(nan));
  VALLM_ASSIGN_OR_RETURN(const auto v, bench.Put(nan));
  VALLM_ASSIGN_OR_RETURN(const auto in, bench.PutRows(rows, heads.row_width()));
  VALLM_RETURN_IF_ERROR(device.StoreKv(*in, heads, type, slots, *k, *v));
  const auto count = static_cast<int64_t>(want.size());
  VALLM_ASSIGN_OR_RETURN(const auto out, bench.PutOutput(count));
  VALLM_RETURN_IF_ERROR(device.Attention(*in, heads, type, chunks, table, *k, *v, *out));
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, bench.GetOutput(*out, count));
  return SameBits(got, want, sequences[0].out_width(), "three sequences in one call");
}

// Over one position the softmax is 1 and the result is V as it was stored.
absl::StatusOr<Finding> ValuesAreRounded(Bench& bench, KvType type) {
  const HeadLayout heads = {1, 1, 32};
  Sequence sequence(heads, type, /*tokens=*/1, 48);
  const float cases[] = {0x1.01p0f,    // halfway between two bf16: to the even, lower one
                         0x1.03p0f,    // halfway: to the even, upper one
                         0x1.0101p0f,  // just above halfway: up
                         0x1.00fffep0f, 0x1.fffp0f, -0x1.03p0f, 0x1.03p-100f, 0x1p-120f,
                         -0x1.01p100f,  3.3e38f,    0.0f,       -2.5f};
  std::vector<double> want, scale;
  for (int32_t i = 0; i < 32; ++i) {
    float& v = sequence.qkv()[static_cast<size_t>(64 + i)];
    if (i < static_cast<int32_t>(std::size(cases))) v = cases[i];
    want.push_back(Rounded(type, v));
    scale.push_back(std::abs(want.back()) + 1e-45);
  }
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, sequence.Run(bench, 0, 1));
  return Compare(got, want, scale, 32, 1e-6);
}

absl::StatusOr<Finding> NoRows(Bench& bench, KvType type) {
  const HeadLayout heads = {2, 1, 64};
  VALLM_ASSIGN_OR_RETURN(const auto cache,
                         bench.device().Allocate(bench.device().KvBytes(heads, type, 1)));
  VALLM_ASSIGN_OR_RETURN(const auto other,
                         bench.device().Allocate(bench.device().KvBytes(heads, type, 1)));
  VALLM_ASSIGN_OR_RETURN(const auto in, bench.PutRows({}, heads.row_width()));
  VALLM_ASSIGN_OR_RETURN(const auto out, bench.PutOutput(0));
  VALLM_RETURN_IF_ERROR(bench.device().StoreKv(*in, heads, type, {}, *cache, *other));
  VALLM_RETURN_IF_ERROR(bench.device().Attention(*in, heads, type, {}, {}, *cache, *other, *out));
  VALLM_RETURN_IF_ERROR(bench.GetOutput(*out, 0).status());
  return Passed();
}

absl::StatusOr<Finding> SizesAreProportional(Bench& bench, KvType type) {
  for (const NamedHeads& named : kHeads) {
    const int64_t one = bench.device().KvBytes(named.heads, type, 1);
    const int64_t many = bench.device().KvBytes(named.heads, type, 4096);
    if (one <= 0 || many != 4096 * one) {
      return Failed(std::string(
          absl::StrCat(named.name, ": one block takes ", one, " bytes, 4096 take ", many)));
    }
  }
  return Passed();
}

// A KV type that a device may lack, and says so by a negative size.
CheckFunction WithKvType(KvType type, CheckFunction run) {
  return [type, run = std::move(run)](Bench& bench) -> absl::StatusOr<Finding> {
    if (type == KvType::kF8E4m3 && bench.device().KvBytes({1, 1, 128}, type, 1) < 0) {
      return Skipped("the device keeps no KV cache of this type");
    }
    return run(bench);
  };
}

}  // namespace

std::vector<Check> AttentionChecks() {
  std::vector<Check> checks;
  const auto add_plain = [&checks](const std::string& name, auto run) {
    checks.push_back({name, /*heavy=*/false, std::move(run)});
  };
  for (const NamedHeads& named : kHeads) {
    add_plain(std::string("norm_rope_heads/close/") + named.name,
              [heads = named.heads](Bench& b) { return NormRopeIsClose(b, heads, 3); });
  }
  add_plain("norm_rope_heads/close/no rows", [](Bench& b) {
    return NormRopeIsClose(b, {2, 1, 64}, 0);
  });
  add_plain("norm_rope_heads/rows/9 rows", NormRopeRows);
  for (const KvChoice& kv : kKvTypes) {
    const std::string suffix = std::string(" ") + kv.name;
    const KvType type = kv.type;
    const auto add = [&checks, type](const std::string& name, bool heavy, CheckFunction run) {
      checks.push_back({name, heavy, WithKvType(type, std::move(run))});
    };
    for (const NamedHeads& named : kHeads) {
      add(std::string("attention/close/") + named.name + suffix, false,
          [heads = named.heads, type](Bench& b) {
            return AttentionIsClose(b, heads, type, /*tokens=*/37, /*begin=*/0, 1);
          });
    }
    add("attention/close/last row of 1000, Qwen3-30B-A3B TP4" + suffix, false, [type](Bench& b) {
      return AttentionIsClose(b, {8, 1, 128}, type, 1000, 999, 1);
    });
    add("attention/close/last row of 16000, Qwen3-8B TP8" + suffix, true, [type](Bench& b) {
      return AttentionIsClose(b, {4, 1, 128}, type, 16000, 15999, 1);
    });
    add("attention/close/nearly one-hot" + suffix, false, [type](Bench& b) {
      return AttentionIsClose(b, {4, 2, 128}, type, 100, 60, 30);
    });
    add("attention/chunks/70 rows, 8/1 x 128" + suffix, false, [type](Bench& b) {
      return ChunksChangeNoBit(b, {8, 1, 128}, type);
    });
    add("attention/chunks/70 rows, 3/1 x 96" + suffix, false, [type](Bench& b) {
      return ChunksChangeNoBit(b, {3, 1, 96}, type);
    });
    add("attention/blocks/in another order" + suffix, false,
        [type](Bench& b) { return BlocksChangeNoBit(b, type); });
    add("attention/causal/NaN behind the rows" + suffix, false,
        [type](Bench& b) { return RowsSeeNothingBehind(b, type); });
    add("attention/sequences/three in one call" + suffix, false,
        [type](Bench& b) { return SequencesAreIndependent(b, type); });
    add("attention/close/no rows" + suffix, false, [type](Bench& b) { return NoRows(b, type); });
    add("store_kv/rounds/ties to even" + suffix, false,
        [type](Bench& b) { return ValuesAreRounded(b, type); });
    add("kv_bytes/proportional/all heads" + suffix, false,
        [type](Bench& b) { return SizesAreProportional(b, type); });
  }
  return checks;
}

}  // namespace vallm::engine::conformance
