// Operations that work row by row: embedding, gathering, adding, RMS norm, SiLU times up.
#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine_service/device/conformance/check.h"
#include "engine_service/device/conformance/test_weights.h"

namespace vallm::engine::conformance {
namespace {

constexpr float kEps = 1e-6f;

// ---- Embedding and gathering
// ---------------------------------------------------------------------

absl::StatusOr<Finding> EmbedIsExact(Bench& bench, WeightType type, int64_t vocab, int64_t width,
                                     const std::vector<int32_t>& ids) {
  Random random(1);
  std::vector<uint16_t> table(static_cast<size_t>(vocab * width));
  for (uint16_t& raw : table)
    raw = static_cast<uint16_t>(random.Next() & 0xbbff);  // finite in both types
  VALLM_ASSIGN_OR_RETURN(const auto on_device, bench.Put(table));
  const auto count = static_cast<int64_t>(ids.size()) * width;
  VALLM_ASSIGN_OR_RETURN(const auto out, bench.PutOutput(count));
  VALLM_RETURN_IF_ERROR(bench.device().Embed(*on_device, type, ids, width, *out));
  std::vector<float> want;
  for (const int32_t id : ids) {
    for (int64_t i = 0; i < width; ++i) {
      const uint16_t raw = table[static_cast<size_t>(id * width + i)];
      want.push_back(
          static_cast<float>(type == WeightType::kF16 ? F16ToDouble(raw) : Bf16ToDouble(raw)));
    }
  }
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, bench.GetOutput(*out, count));
  return SameBits(got, want, width, "values as floats");
}

absl::StatusOr<Finding> GatherIsExact(Bench& bench, const std::vector<int32_t>& row_ids) {
  constexpr int64_t kWidth = 1024, kRows = 9;
  const std::vector<float> x = RandomFloats(kRows * kWidth, 2);
  VALLM_ASSIGN_OR_RETURN(const auto in, bench.PutRows(x, kWidth));
  const auto count = static_cast<int64_t>(row_ids.size()) * kWidth;
  VALLM_ASSIGN_OR_RETURN(const auto out, bench.PutOutput(count));
  VALLM_RETURN_IF_ERROR(bench.device().GatherRows(*in, row_ids, kWidth, *out));
  std::vector<float> want;
  for (const int32_t row : row_ids) {
    want.insert(want.end(), x.begin() + row * kWidth, x.begin() + (row + 1) * kWidth);
  }
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, bench.GetOutput(*out, count));
  return SameBits(got, want, kWidth, "copied rows");
}

absl::StatusOr<Finding> AddIsExact(Bench& bench, int64_t rows, int64_t width) {
  const std::vector<float> x = RandomFloats(rows * width, 3), y = RandomFloats(rows * width, 4);
  std::vector<float> want;
  for (size_t i = 0; i < x.size(); ++i) want.push_back(x[i] + y[i]);
  // The rows behind are not added: they would become NaN.
  std::vector<float> padded = x;
  padded.resize(x.size() + 16, 1.0f);
  VALLM_ASSIGN_OR_RETURN(const auto a, bench.Put(padded));
  VALLM_ASSIGN_OR_RETURN(const auto b, bench.PutRows(y, std::max<int64_t>(width, 16)));
  VALLM_RETURN_IF_ERROR(bench.device().Add(*a, *b, rows, width));
  VALLM_ASSIGN_OR_RETURN(std::vector<float> got,
                         bench.Get<float>(*a, static_cast<int64_t>(padded.size())));
  want.resize(padded.size(), 1.0f);
  return SameBits(got, want, std::max<int64_t>(width, 1), "sums rounded once");
}

// ---- Norm and activation
// -------------------------------------------------------------------------

// An operation over rows: runs on `rows` rows of x and gives all outputs.
using RowOperation = std::function<absl::StatusOr<std::vector<float>>(
    Bench& bench, const std::vector<float>& x, int64_t rows)>;

// The bits of any run of rows are those of the whole.
absl::StatusOr<Finding> RowsAreIndependent(Bench& bench, const std::vector<float>& x, int64_t rows,
                                           int64_t in_width, int64_t out_width,
                                           const RowOperation& run) {
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> whole, run(bench, x, rows));
  for (const auto& [begin, count] :
       {std::pair<int64_t, int64_t>{0, 1}, {rows - 1, 1}, {1, 2}, {rows / 2, rows - rows / 2}}) {
    const std::vector<float> part(x.begin() + begin * in_width,
                                  x.begin() + (begin + count) * in_width);
    VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, run(bench, part, count));
    const std::span<const float> want = std::span(whole).subspan(
        static_cast<size_t>(begin * out_width), static_cast<size_t>(count * out_width));
    const Finding same =
        SameBits(got, want, out_width,
                 std::string(absl::StrCat("rows ", begin, " to ", begin + count - 1, " of ", rows,
                                          " on their own")));
    if (same.outcome != Outcome::kPassed) return same;
  }
  return Passed();
}

RowOperation Norm(const std::vector<float>& weight, bool in_place) {
  return [=](Bench& bench, const std::vector<float>& x,
             int64_t rows) -> absl::StatusOr<std::vector<float>> {
    const auto width = static_cast<int64_t>(weight.size());
    VALLM_ASSIGN_OR_RETURN(const auto w, bench.Put(weight));
    VALLM_ASSIGN_OR_RETURN(const auto in, bench.PutRows(x, width));
    VALLM_ASSIGN_OR_RETURN(const auto out, bench.PutOutput(rows * width));
    if (!in_place) {
      VALLM_RETURN_IF_ERROR(bench.device().RmsNorm(*in, *w, kEps, rows, width, *out));
      return bench.GetOutput(*out, rows * width);
    }
    VALLM_RETURN_IF_ERROR(bench.device().RmsNorm(*in, *w, kEps, rows, width, *in));
    return bench.Get<float>(*in, rows * width);
  };
}

std::vector<double> NormReference(const std::vector<float>& x, const std::vector<float>& weight,
                                  int64_t rows) {
  const size_t width = weight.size();
  std::vector<double> want;
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    double squares = 0;
    for (size_t i = 0; i < width; ++i) squares += std::pow(double{x[row * width + i]}, 2);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + kEps);
    for (size_t i = 0; i < width; ++i) want.push_back(x[row * width + i] * scale * weight[i]);
  }
  return want;
}

absl::StatusOr<Finding> NormIsClose(Bench& bench, int64_t rows, int64_t width, float size,
                                    bool in_place) {
  std::vector<float> x = RandomFloats(rows * width, 5);
  for (float& value : x) value *= size;
  const std::vector<float> weight = RandomFloats(width, 6);
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, Norm(weight, in_place)(bench, x, rows));
  return CompareToLargest(got, NormReference(x, weight, rows), width, 1e-6);
}

RowOperation Silu(int64_t width) {
  return [=](Bench& bench, const std::vector<float>& x,
             int64_t rows) -> absl::StatusOr<std::vector<float>> {
    VALLM_ASSIGN_OR_RETURN(const auto in, bench.PutRows(x, 2 * width));
    VALLM_ASSIGN_OR_RETURN(const auto out, bench.PutOutput(rows * width));
    VALLM_RETURN_IF_ERROR(bench.device().SiluMul(*in, rows, width, *out));
    return bench.GetOutput(*out, rows * width);
  };
}

// `spread` is how far gates go: exp() must neither overflow nor be cut off.
absl::StatusOr<Finding> SiluIsClose(Bench& bench, int64_t rows, int64_t width, float spread) {
  std::vector<float> x = RandomFloats(rows * 2 * width, 7);
  std::vector<double> want, scale;
  for (int64_t row = 0; row < rows; ++row) {
    float* gate = x.data() + row * 2 * width;
    for (int64_t i = 0; i < width; ++i) {
      gate[i] *= spread;
      const double a = gate[i], up = gate[width + i];
      want.push_back(a / (1 + std::exp(-a)) * up);
      scale.push_back(std::abs(a * up) + 1e-30);
    }
  }
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> got, Silu(width)(bench, x, rows));
  return Compare(got, want, scale, width, 1e-6);
}

}  // namespace

std::vector<Check> RowChecks() {
  std::vector<Check> checks;
  const auto add = [&checks](const std::string& name, auto run) {
    checks.push_back({name, /*heavy=*/false, std::move(run)});
  };
  add("embed/exact/Qwen3-0.6B width, repeated ids", [](Bench& b) {
    return EmbedIsExact(b, WeightType::kBf16, 1000, 1024, {999, 0, 7, 7, 500});
  });
  add("embed/exact/odd vocabulary and width, one id",
      [](Bench& b) { return EmbedIsExact(b, WeightType::kBf16, 13, 17, {12}); });
  add("embed/exact/f16, subnormals", OfType(WeightType::kF16, [](Bench& b) {
        return EmbedIsExact(b, WeightType::kF16, 64, 1024, {63, 1, 0});
      }));
  add("embed/exact/no ids",
      [](Bench& b) { return EmbedIsExact(b, WeightType::kBf16, 13, 64, {}); });
  add("gather_rows/exact/any order, repeated", [](Bench& b) {
    return GatherIsExact(b, {8, 0, 3, 3, 1});
  });
  add("gather_rows/exact/no rows", [](Bench& b) { return GatherIsExact(b, {}); });
  add("add/exact/33 rows of 2048", [](Bench& b) { return AddIsExact(b, 33, 2048); });
  add("add/exact/one row of 5120", [](Bench& b) { return AddIsExact(b, 1, 5120); });
  add("add/exact/no rows", [](Bench& b) { return AddIsExact(b, 0, 2048); });

  for (const int64_t width : {128, 1024, 2048, 2560, 4096, 5120}) {
    add(std::string(absl::StrCat("rms_norm/close/hidden size ", width)),
        [=](Bench& b) { return NormIsClose(b, 5, width, 1, /*in_place=*/false); });
  }
  add("rms_norm/close/width 16, one row",
      [](Bench& b) { return NormIsClose(b, 1, 16, 1, /*in_place=*/false); });
  add("rms_norm/close/in place", [](Bench& b) { return NormIsClose(b, 3, 2048, 1, true); });
  add("rms_norm/close/tiny values, where eps matters",
      [](Bench& b) { return NormIsClose(b, 3, 1024, 1e-3f, false); });
  add("rms_norm/close/large values", [](Bench& b) { return NormIsClose(b, 3, 1024, 1e4f, false); });
  add("rms_norm/close/no rows", [](Bench& b) { return NormIsClose(b, 0, 1024, 1, false); });
  add("rms_norm/rows/2048, 9 rows", [](Bench& b) {
    return RowsAreIndependent(b, RandomFloats(9 * 2048, 8), 9, 2048, 2048,
                              Norm(RandomFloats(2048, 9), false));
  });

  for (const int64_t width : {768, 192, 96, 3072, 12288}) {
    add(std::string(absl::StrCat("silu_mul/close/width ", width)),
        [=](Bench& b) { return SiluIsClose(b, 3, width, 4); });
  }
  add("silu_mul/close/width 17", [](Bench& b) { return SiluIsClose(b, 2, 17, 4); });
  add("silu_mul/close/gates to 200", [](Bench& b) { return SiluIsClose(b, 2, 768, 100); });
  add("silu_mul/close/no rows", [](Bench& b) { return SiluIsClose(b, 0, 768, 1); });
  add("silu_mul/rows/768, 9 rows", [](Bench& b) {
    return RowsAreIndependent(b, RandomFloats(9 * 2 * 768, 10), 9, 2 * 768, 768, Silu(768));
  });
  return checks;
}

}  // namespace vallm::engine::conformance
