// What packing has to refuse: sizes and values come from files.
#include <limits>
#include <utility>

#include "engine_service/device/conformance/check.h"
#include "engine_service/device/conformance/test_weights.h"

namespace vallm::engine::conformance {
namespace {

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

// Packing `slices` must be refused, and the device must go on.
absl::StatusOr<Finding> Refuses(Bench& bench, const std::vector<WeightSlice>& slices,
                                int32_t k_groups, const std::string& what) {
  const Finding refused =
      Refused(bench.device().PackMatrix(slices, k_groups).status(), kInvalid, what);
  if (refused.outcome != Outcome::kPassed) return refused;
  const TestMatrix good(16, 32, WeightType::kBf16, 1);
  VALLM_RETURN_IF_ERROR(bench.device().PackMatrix(std::vector{good.Whole()}, 1).status());
  return Passed();
}

absl::StatusOr<Finding> RefusesGroups(Bench& bench) {
  const TestMatrix matrix(16, 96, WeightType::kBf16, 2);
  for (const int32_t groups : {0, -1, 3, 16}) {
    VALLM_ASSIGN_OR_RETURN(const Finding finding,
                           Refuses(bench, {matrix.Whole()}, groups, "a number of K groups"));
    if (finding.outcome != Outcome::kPassed) return finding;
  }
  return Refuses(bench, {matrix.Slice(0, 16, 0, 95)}, 8, "95 inputs in 8 groups");
}

absl::StatusOr<Finding> RefusesWindows(Bench& bench) {
  const TestMatrix matrix(16, 96, WeightType::kBf16, 3);
  const std::pair<WeightSlice, const char*> cases[] = {
      {matrix.Slice(0, 0, 0, 96), "no rows"},
      {matrix.Slice(0, 16, 0, 0), "no columns"},
      {matrix.Slice(0, 16, 64, 64), "columns outside the matrix"},
      {matrix.Slice(-1, 16, 0, 96), "a negative row"},
      {matrix.Slice(0, 16, -8, 96), "a negative column"}};
  for (const auto& [slice, what] : cases) {
    VALLM_ASSIGN_OR_RETURN(const Finding finding, Refuses(bench, {slice}, 1, what));
    if (finding.outcome != Outcome::kPassed) return finding;
  }
  return Refuses(bench, {}, 1, "no slices");
}

absl::StatusOr<Finding> RefusesMixedStacks(Bench& bench) {
  const TestMatrix a(16, 96, WeightType::kBf16, 4), b(16, 64, WeightType::kBf16, 5),
      c(16, 96, WeightType::kF8E4m3, 6);
  VALLM_ASSIGN_OR_RETURN(const Finding columns,
                         Refuses(bench, {a.Whole(), b.Whole()}, 1, "stacked slices of 96 and 64"));
  if (columns.outcome != Outcome::kPassed) return columns;
  return Refuses(bench, {a.Whole(), c.Whole()}, 1, "stacked bf16 and e4m3");
}

absl::StatusOr<Finding> RefusesMissingScales(Bench& bench) {
  const TestMatrix matrix(16, 96, WeightType::kF8E4m3, 7);
  WeightSlice slice = matrix.Whole();
  slice.scales = nullptr;
  VALLM_ASSIGN_OR_RETURN(const Finding finding, Refuses(bench, {slice}, 1, "no scales"));
  if (finding.outcome != Outcome::kPassed) return finding;
  slice = matrix.Whole();
  slice.block_cols = 0;
  return Refuses(bench, {slice}, 1, "blocks of no columns");
}

absl::StatusOr<Finding> RefusesNan(Bench& bench) {
  std::vector<uint8_t> data(16 * 96, 0x38);
  const float scale = 1;
  const WeightSlice slice = {.type = WeightType::kF8E4m3,
                             .data = data.data(),
                             .matrix_cols = 96,
                             .row_begin = 0,
                             .row_count = 16,
                             .col_begin = 0,
                             .col_count = 96,
                             .scales = &scale,
                             .zeros = nullptr,
                             .scale_cols = 1,
                             .block_rows = 128,
                             .block_cols = 128};
  for (const uint8_t nan : {0x7f, 0xff}) {
    data[15 * 96 + 95] = nan;
    VALLM_ASSIGN_OR_RETURN(const Finding finding, Refuses(bench, {slice}, 1, "an e4m3 NaN"));
    if (finding.outcome != Outcome::kPassed) return finding;
  }
  return Passed();
}

absl::StatusOr<Finding> RefusesExperts(Bench& bench) {
  const TestMatrix in(96, 64, WeightType::kBf16, 8), out(64, 96, WeightType::kBf16, 9),
      narrow(64, 48, WeightType::kBf16, 10);
  const ExpertSlices good = {in.Whole(), in.Whole(), out.Whole()};
  const ExpertSlices thin = {in.Slice(0, 48, 0, 64), in.Slice(0, 48, 0, 64), narrow.Whole()};
  const ExpertSlices bad = {in.Whole(), in.Whole(), narrow.Whole()};
  const std::pair<std::vector<ExpertSlices>, const char*> cases[] = {
      {{}, "no experts"},
      {{bad}, "a down that does not fit gate"},
      {{good, thin}, "experts of different widths"}};
  for (const auto& [experts, what] : cases) {
    const Finding refused =
        Refused(bench.device().PackExperts(experts, 1).status(), kInvalid, what);
    if (refused.outcome != Outcome::kPassed) return refused;
  }
  VALLM_RETURN_IF_ERROR(bench.device().PackExperts(std::vector{good}, 1).status());
  return Passed();
}

// Checkpoints put tensors at any address.
absl::StatusOr<Finding> TakesUnalignedData(Bench& bench) {
  constexpr int64_t kN = 17, kK = 40;
  const TestMatrix matrix(kN, kK, WeightType::kBf16, 11);
  const auto* bytes = static_cast<const uint8_t*>(matrix.Whole().data);
  std::vector<uint8_t> shifted(1);
  shifted.insert(shifted.end(), bytes, bytes + kN * kK * 2);
  WeightSlice slice = matrix.Whole();
  slice.data = shifted.data() + 1;
  const std::vector<float> x = RandomFloats(kK, 12);
  std::vector<std::vector<float>> results;
  for (const WeightSlice& source : {matrix.Whole(), slice}) {
    VALLM_ASSIGN_OR_RETURN(const auto packed, bench.device().PackMatrix(std::vector{source}, 1));
    VALLM_ASSIGN_OR_RETURN(const auto in, bench.PutRows(x, kK));
    VALLM_ASSIGN_OR_RETURN(const auto out, bench.PutOutput(kN));
    VALLM_RETURN_IF_ERROR(bench.device().MatMul(*in, 1, *packed, *out));
    VALLM_ASSIGN_OR_RETURN(results.emplace_back(), bench.GetOutput(*out, kN));
  }
  return SameBits(results[1], results[0], kN, "weights at an odd address");
}

}  // namespace

std::vector<Check> PackChecks() {
  return {{"pack_matrix/refuses/wrong K groups", false, RefusesGroups},
          {"pack_matrix/refuses/windows outside the matrix", false, RefusesWindows},
          {"pack_matrix/refuses/stacks that do not fit", false, RefusesMixedStacks},
          {"pack_matrix/refuses/missing scales", false, RefusesMissingScales},
          {"pack_matrix/refuses/e4m3 NaN", false, RefusesNan},
          {"pack_matrix/takes/unaligned data", false, TakesUnalignedData},
          {"pack_experts/refuses/experts that do not fit", false, RefusesExperts}};
}

}  // namespace vallm::engine::conformance
