#include "engine_service/model/integer_matrix.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/model/tensor_values.h"

namespace vallm::engine {
namespace {

// Devices end a sum at every multiple of this many columns of the whole matrix
// (docs/packed-weights.md); a window that begins at one has the same sums. A whole number of words.
constexpr int64_t kSegmentCols = 128;

int64_t RoundUp(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

absl::Status CheckWholeWords(const MatrixSpec& spec, const char* what, int64_t size,
                             int64_t values_per_word) {
  if (size % values_per_word == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(spec.module, " has ", size, " ", what,
                                                 "; packed weights need a multiple of ",
                                                 values_per_word));
}

}  // namespace

absl::StatusOr<IntegerWindow> IntegerWindow::Of(const MatrixSpec& spec,
                                                const IntegerConfig& config) {
  IntegerWindow window;
  window.bits_ = config.bits;
  const int64_t word = window.values_per_word();
  VALLM_RETURN_IF_ERROR(CheckWholeWords(spec, "output features", spec.rows, word));
  VALLM_RETURN_IF_ERROR(CheckWholeWords(spec, "input features", spec.cols, word));
  const bool grouped = config.group_size > 0;
  window.group_size_ = grouped ? config.group_size : static_cast<int32_t>(spec.cols);
  window.all_groups_ = grouped ? RoundUp(spec.cols, config.group_size) / config.group_size : 1;
  window.wanted_rows_ = spec.row_range;
  window.wanted_cols_ = spec.col_range;
  window.rows_ = {spec.row_range.begin / word * word, RoundUp(spec.row_range.end, word)};
  const int64_t step = grouped ? std::lcm(kSegmentCols, int64_t{config.group_size}) : kSegmentCols;
  const int64_t col_begin = spec.col_range.begin / step * step;
  window.groups_ = {0, 1};
  if (grouped) {
    window.groups_ = {col_begin / config.group_size,
                      RoundUp(spec.col_range.end, config.group_size) / config.group_size};
  }
  window.cols_ = {col_begin, RoundUp(spec.col_range.end, word)};
  return window;
}

WeightSlice IntegerWindow::Slice(const MatrixSource& source) const {
  return {.type = bits_ == 4 ? WeightType::kUint4 : WeightType::kUint8,
          .data = source.values.get(),
          .matrix_cols = cols_.size(),
          .row_begin = wanted_rows_.begin - rows_.begin,
          .row_count = wanted_rows_.size(),
          .col_begin = wanted_cols_.begin - cols_.begin,
          .col_count = wanted_cols_.size(),
          .scales = source.scales.data(),
          .zeros = source.zeros.data(),
          .scale_cols = groups_.size(),
          .block_rows = 1,
          .block_cols = group_size_};
}

absl::StatusOr<std::vector<float>> ReadGroupScales(const Checkpoint& checkpoint,
                                                   const MatrixSpec& spec,
                                                   const IntegerWindow& window) {
  const std::string tensor = spec.module + ".scales";
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint.Find(tensor));
  VALLM_RETURN_IF_ERROR(CheckShape(tensor, view, {window.all_groups(), spec.rows}));
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> values, ToFloats(tensor, view));
  std::vector<float> scales(window.rows().size() * window.groups().size());
  auto out = scales.begin();
  for (int64_t row = window.rows().begin; row < window.rows().end; ++row) {
    for (int64_t group = window.groups().begin; group < window.groups().end; ++group) {
      *out++ = values[group * spec.rows + row];
    }
  }
  return scales;
}

absl::StatusOr<std::vector<int16_t>> ReadGroupZeros(const Checkpoint& checkpoint,
                                                    const MatrixSpec& spec,
                                                    const IntegerWindow& window,
                                                    std::span<const int32_t> order, int32_t add) {
  const std::string tensor = spec.module + ".qzeros";
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint.Find(tensor));
  if (view.dtype != DType::kI32) return WrongDType(tensor, view, "I32");
  const int64_t per_word = window.values_per_word(), words = spec.rows / per_word;
  VALLM_RETURN_IF_ERROR(CheckShape(tensor, view, {window.all_groups(), words}));
  const uint32_t mask = (1u << window.bits()) - 1;
  const int64_t groups = window.groups().size();
  std::vector<int16_t> zeros(window.rows().size() * groups);
  for (int64_t group = 0; group < groups; ++group) {
    for (int64_t word = 0; word < window.rows().size() / per_word; ++word) {
      const uint32_t packed = WordAt(view.data, (window.groups().begin + group) * words +
                                                    window.rows().begin / per_word + word);
      for (int64_t i = 0; i < per_word; ++i) {
        const auto zero = static_cast<int32_t>(packed >> (window.bits() * i) & mask);
        zeros[(word * per_word + order[i]) * groups + group] = static_cast<int16_t>(zero + add);
      }
    }
  }
  return zeros;
}

}  // namespace vallm::engine
