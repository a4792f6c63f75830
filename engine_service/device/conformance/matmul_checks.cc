// Products with packed matrices: real models' shapes and their shards, every weight type, and the
// laws E1 and E2 of vallm_device_abi.h.
#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine_service/device/conformance/check.h"
#include "engine_service/device/conformance/test_weights.h"

namespace vallm::engine::conformance {
namespace {

// A window of a matrix of a model, and the K groups it is packed with.
struct Shape {
  const char* name;
  int64_t rows, cols;  // of the whole matrix
  int64_t row_begin, row_count, col_begin, col_count;
  int32_t k_groups;
  bool heavy;
};

// Column shards of the matrices after the attention and of the MLP have 8 / TP groups.
constexpr Shape kShapes[] = {
    {"Qwen3-0.6B qkv", 4096, 1024, 0, 4096, 0, 1024, 1, false},
    {"Qwen3-0.6B down", 1024, 3072, 0, 1024, 0, 3072, 8, false},
    {"Qwen3-30B-A3B o_proj TP4", 2048, 4096, 0, 2048, 1024, 1024, 2, false},
    {"Qwen3-30B-A3B router", 128, 2048, 0, 128, 0, 2048, 1, false},
    {"Qwen3-30B-A3B gate 192 wide TP4", 768, 2048, 192, 192, 0, 2048, 1, false},
    {"Qwen3-30B-A3B gate 96 wide TP8", 768, 2048, 672, 96, 0, 2048, 1, false},
    {"Qwen3-30B-A3B down 192 wide TP4", 2048, 768, 0, 2048, 192, 192, 2, false},
    {"Qwen3-30B-A3B down 96 wide TP8", 2048, 768, 0, 2048, 96, 96, 1, false},
    {"Qwen3-235B-A22B down TP16 96 wide", 4096, 1536, 0, 4096, 1440, 96, 1, false},
    {"lm_head shard of an odd vocabulary", 1001, 1024, 500, 501, 0, 1024, 1, false},
    {"ragged blocks", 1000, 1100, 0, 1000, 0, 1100, 1, false},
    {"ragged blocks, window inside", 1000, 1100, 77, 900, 99, 1000, 8, false},
    {"one feature, one group per input", 1, 8, 0, 1, 0, 8, 8, false},
    {"17 features of 24 inputs", 17, 24, 0, 17, 0, 24, 4, false},
    {"one input", 5, 1, 0, 5, 0, 1, 1, false},
    {"Qwen3-1.7B gate_up", 12288, 2048, 0, 12288, 0, 2048, 1, true},
    {"Qwen3-4B down", 2560, 9728, 0, 2560, 0, 9728, 8, true},
    {"Qwen3-8B qkv", 6144, 4096, 0, 6144, 0, 4096, 1, true},
    {"Qwen3-8B down TP2", 4096, 12288, 0, 4096, 6144, 6144, 4, true},
    {"Qwen3-14B down", 5120, 17408, 0, 5120, 0, 17408, 8, true},
    {"Qwen3-32B o_proj", 5120, 8192, 0, 5120, 0, 8192, 8, true},
    {"Qwen3-32B down TP8", 5120, 25600, 0, 5120, 9600, 3200, 1, true},
    {"Qwen3-235B-A22B qkv TP4", 9216, 4096, 2304, 2304, 0, 4096, 1, true},
    {"Qwen3 lm_head TP2", 151936, 1024, 75968, 75968, 0, 1024, 1, true},
};

absl::StatusOr<std::unique_ptr<PackedMatrix>> Pack(Bench& bench,
                                                   const std::vector<WeightSlice>& slices,
                                                   int32_t k_groups) {
  auto packed = bench.device().PackMatrix(slices, k_groups);
  if (!packed.ok()) return packed.status();
  int64_t n = 0;
  for (const WeightSlice& slice : slices) n += slice.row_count;
  if ((*packed)->n() != n || (*packed)->k() != slices[0].col_count) {
    return absl::InternalError("the packed matrix has other sizes than its slices");
  }
  return packed;
}

absl::StatusOr<std::vector<float>> Multiply(Bench& bench, const PackedMatrix& matrix,
                                            const std::vector<float>& x, int64_t rows) {
  VALLM_ASSIGN_OR_RETURN(const auto in, bench.PutRows(x, matrix.k()));
  VALLM_ASSIGN_OR_RETURN(const auto out, bench.PutOutput(rows * matrix.n()));
  VALLM_RETURN_IF_ERROR(bench.device().MatMul(*in, rows, matrix, *out));
  return bench.GetOutput(*out, rows * matrix.n());
}

absl::StatusOr<std::vector<float>> PackAndMultiply(Bench& bench,
                                                   const std::vector<WeightSlice>& slices,
                                                   int32_t k_groups, const std::vector<float>& x,
                                                   int64_t rows) {
  VALLM_ASSIGN_OR_RETURN(const auto packed, Pack(bench, slices, k_groups));
  return Multiply(bench, *packed, x, rows);
}

// Output features to look at: all of a small matrix, else both ends and some between.
std::vector<int64_t> Sample(int64_t n, int64_t k) {
  std::set<int64_t> features;
  const int64_t wanted = std::clamp<int64_t>((1 << 21) / k, 64, n < 64 ? n : 1 << 20);
  if (n <= wanted) {
    for (int64_t i = 0; i < n; ++i) features.insert(i);
  } else {
    for (const int64_t i : {0, 1, 15, 16, 17, 63}) {
      features.insert(i);
      features.insert(n - 1 - i);
    }
    Random random(11);
    while (static_cast<int64_t>(features.size()) < wanted) {
      features.insert(static_cast<int64_t>(random.Next() % static_cast<uint64_t>(n)));
    }
  }
  return {features.begin(), features.end()};
}

// Errors are measured in units of sqrt(sum of (x w)^2): what is left of a sum of random signs.
absl::StatusOr<Finding> IsClose(Bench& bench, const Shape& shape, WeightType type) {
  const TestMatrix matrix(shape.rows, shape.cols, type, 12);
  const WeightSlice window =
      matrix.Slice(shape.row_begin, shape.row_count, shape.col_begin, shape.col_count);
  constexpr int64_t kRows = 3;
  const int64_t n = shape.row_count, k = shape.col_count;
  const std::vector<float> x = RandomFloats(kRows * k, 13);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> y,
                         PackAndMultiply(bench, {window}, shape.k_groups, x, kRows));
  std::vector<float> got;
  std::vector<double> want, scale;
  for (const int64_t feature : Sample(n, k)) {
    const std::vector<double> w = matrix.Row(shape.row_begin + feature, shape.col_begin, k);
    for (int64_t row = 0; row < kRows; ++row) {
      double sum = 0, squares = 1e-60;
      for (int64_t i = 0; i < k; ++i) {
        const double product = x[static_cast<size_t>(row * k + i)] * w[static_cast<size_t>(i)];
        sum += product;
        squares += product * product;
      }
      got.push_back(y[static_cast<size_t>(row * n + feature)]);
      want.push_back(sum);
      scale.push_back(std::sqrt(squares));
    }
  }
  const double f32 = 2e-7 * std::sqrt(static_cast<double>(k)) + 1e-6;
  return Compare(got, want, scale, kRows, bench.ProductTolerance(f32, 2e-2));
}

// A row's bits do not depend on how many rows there are, nor on its place.
absl::StatusOr<Finding> RowsAreIndependent(Bench& bench, const Shape& shape, WeightType type,
                                           int64_t rows) {
  const TestMatrix matrix(shape.rows, shape.cols, type, 14);
  const WeightSlice window =
      matrix.Slice(shape.row_begin, shape.row_count, shape.col_begin, shape.col_count);
  const int64_t n = shape.row_count, k = shape.col_count;
  VALLM_ASSIGN_OR_RETURN(const auto packed, Pack(bench, {window}, shape.k_groups));
  const std::vector<float> x = RandomFloats(rows * k, 15);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> whole, Multiply(bench, *packed, x, rows));
  for (const int64_t count : {1, 2, 3, 5, 8, 12, 13, 16, 17}) {
    if (count >= rows) break;
    for (const int64_t begin : {int64_t{0}, rows - count, (rows - count) / 2}) {
      const std::vector<float> part(x.begin() + begin * k, x.begin() + (begin + count) * k);
      VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, Multiply(bench, *packed, part, count));
      const auto want =
          std::span(whole).subspan(static_cast<size_t>(begin * n), static_cast<size_t>(count * n));
      const Finding same =
          SameBits(got, want, n,
                   std::string(absl::StrCat("rows ", begin, " to ", begin + count - 1, " of ", rows,
                                            " on their own")));
      if (same.outcome != Outcome::kPassed) return same;
    }
  }
  return Passed();
}

// Column shards, each with its share of the groups, add up along the tree to the bits of the whole.
absl::StatusOr<Finding> ShardsJoin(Bench& bench, int64_t n, int64_t k, WeightType type) {
  const TestMatrix matrix(n, k, type, 16);
  constexpr int64_t kRows = 3;
  const std::vector<float> x = RandomFloats(kRows * k, 17);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> whole,
                         PackAndMultiply(bench, {matrix.Whole()}, 8, x, kRows));
  for (const int64_t shards : {2, 4, 8}) {
    const int64_t width = k / shards;
    std::vector<std::vector<float>> parts;
    for (int64_t s = 0; s < shards; ++s) {
      std::vector<float> columns;
      for (int64_t row = 0; row < kRows; ++row) {
        const auto begin = x.begin() + row * k + s * width;
        columns.insert(columns.end(), begin, begin + width);
      }
      VALLM_ASSIGN_OR_RETURN(std::vector<float> part,
                             PackAndMultiply(bench, {matrix.Slice(0, n, s * width, width)},
                                             static_cast<int32_t>(8 / shards), columns, kRows));
      parts.push_back(std::move(part));
    }
    for (size_t left = parts.size() / 2; left >= 1; left /= 2) {
      for (size_t s = 0; s < left; ++s) {
        for (size_t i = 0; i < parts[s].size(); ++i) {
          parts[s][i] = parts[2 * s][i] + parts[2 * s + 1][i];
        }
      }
    }
    const Finding same =
        SameBits(parts[0], whole, n, std::string(absl::StrCat(shards, " shards joined")));
    if (same.outcome != Outcome::kPassed) return same;
  }
  return Passed();
}

// Output features have the same bits in any slice and in any stack.
absl::StatusOr<Finding> SlicesAreParts(Bench& bench, WeightType type) {
  constexpr int64_t kN = 200, kK = 256, kRows = 2;  // cuts inside blocks and inside any tile
  const TestMatrix matrix(kN, kK, type, 18), other(40, kK, type, 19);
  const std::vector<float> x = RandomFloats(kRows * kK, 20);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> whole,
                         PackAndMultiply(bench, {matrix.Whole()}, 1, x, kRows));
  for (const auto& [begin, count] : {std::pair<int64_t, int64_t>{0, 96}, {96, 96}, {192, 8}}) {
    const WeightSlice slice = matrix.Slice(begin, count, 0, kK);
    for (const bool stacked : {false, true}) {
      std::vector<WeightSlice> slices = {slice};
      if (stacked) slices.insert(slices.begin(), other.Slice(3, 21, 0, kK));
      const int64_t lead = stacked ? 21 : 0, n = lead + count;
      VALLM_ASSIGN_OR_RETURN(const std::vector<float> y,
                             PackAndMultiply(bench, slices, 1, x, kRows));
      std::vector<float> got, want;
      for (int64_t row = 0; row < kRows; ++row) {
        got.insert(got.end(), y.begin() + row * n + lead, y.begin() + (row + 1) * n);
        const auto from = whole.begin() + row * kN + begin;
        want.insert(want.end(), from, from + count);
      }
      const Finding same =
          SameBits(got, want, count,
                   std::string(absl::StrCat("features ", begin, " to ", begin + count - 1, " of ",
                                            kN, stacked ? ", stacked under another matrix" : "")));
      if (same.outcome != Outcome::kPassed) return same;
    }
  }
  return Passed();
}

absl::StatusOr<Finding> NoRows(Bench& bench) {
  const TestMatrix matrix(64, 128, WeightType::kBf16, 21);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> y,
                         PackAndMultiply(bench, {matrix.Whole()}, 1, {}, 0));
  return Passed();
}

}  // namespace

std::vector<Check> MatMulChecks() {
  std::vector<Check> checks;
  for (const WeightType type : kWeightTypes) {
    const std::string suffix = " " + std::string(WeightTypeName(type));
    const auto add = [&](const std::string& name, bool heavy, auto run) {
      checks.push_back({name + suffix, heavy, OfType(type, std::move(run))});
    };
    for (const Shape& shape : kShapes) {
      add(std::string("mat_mul/close/") + shape.name, shape.heavy,
          [&shape, type](Bench& b) { return IsClose(b, shape, type); });
    }
    add("mat_mul/rows/27 rows, ragged blocks", false, [type](Bench& b) {
      return RowsAreIndependent(b, {"", 140, 300, 5, 131, 20, 264, 8, false}, type, 27);
    });
    add("mat_mul/rows/9 rows, Qwen3-30B-A3B down 96 wide", false, [type](Bench& b) {
      return RowsAreIndependent(b, {"", 256, 768, 0, 256, 96, 96, 1, false}, type, 9);
    });
    add("mat_mul/rows/512 rows, Qwen3-0.6B o_proj", true, [type](Bench& b) {
      return RowsAreIndependent(b, {"", 1024, 2048, 0, 1024, 0, 2048, 8, false}, type, 512);
    });
    add("mat_mul/tree/768 inputs, blocks cut by shards", false,
        [type](Bench& b) { return ShardsJoin(b, 80, 768, type); });
    add("mat_mul/tree/192 inputs", false,
        [type](Bench& b) { return ShardsJoin(b, 40, 192, type); });
    add("mat_mul/tree/3072 inputs", false,
        [type](Bench& b) { return ShardsJoin(b, 48, 3072, type); });
    add("mat_mul/slices/windows and stacks", false,
        [type](Bench& b) { return SlicesAreParts(b, type); });
  }
  checks.push_back({"mat_mul/close/no rows", false, NoRows});
  return checks;
}

}  // namespace vallm::engine::conformance
