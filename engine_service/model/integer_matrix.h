// What GPTQ and AWQ share: weights of 4 or 8 bits packed into 32-bit words, with a scale and a zero
// point per output feature and group of input features. Tensors have input features as rows.
#ifndef VALLM_ENGINE_SERVICE_MODEL_INTEGER_MATRIX_H_
#define VALLM_ENGINE_SERVICE_MODEL_INTEGER_MATRIX_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/model/matrix_source.h"

namespace vallm::engine {

// The part of a matrix that is unpacked for a spec: what is wanted, widened to whole words and to
// the beginning of a group, so that scales can be looked up from there. Memory holds the part
// alone.
class IntegerWindow {
 public:
  // Errors: INVALID_ARGUMENT (rows or columns that do not fill their words).
  static absl::StatusOr<IntegerWindow> Of(const MatrixSpec& spec, const IntegerConfig& config);

  int32_t bits() const { return bits_; }
  int32_t values_per_word() const { return 32 / bits_; }
  Range rows() const { return rows_; }  // output features; whole words
  Range cols() const { return cols_; }  // input features; whole words
  Range groups() const { return groups_; }
  int64_t all_groups() const { return all_groups_; }  // of the whole matrix

  // The slice of `source`, whose values [rows, cols], scales and zeros [rows, groups] are those of
  // the window.
  WeightSlice Slice(const MatrixSource& source) const;

 private:
  IntegerWindow() = default;
  int32_t bits_ = 4;
  int32_t group_size_ = 0;  // of the matrix; its columns if it is one group
  Range rows_, cols_, groups_;
  int64_t all_groups_ = 0;
  Range wanted_rows_, wanted_cols_;
};

// `module`.scales, F16, BF16 or F32 [groups, rows], transposed to [window rows, window groups].
absl::StatusOr<std::vector<float>> ReadGroupScales(const Checkpoint& checkpoint,
                                                   const MatrixSpec& spec,
                                                   const IntegerWindow& window);

// `module`.qzeros, I32 [groups, rows / values per word], likewise transposed, each plus `add`. Word
// w of a group has the zero points of rows values_per_word * w + order[i] at bits * i.
absl::StatusOr<std::vector<int16_t>> ReadGroupZeros(const Checkpoint& checkpoint,
                                                    const MatrixSpec& spec,
                                                    const IntegerWindow& window,
                                                    std::span<const int32_t> order, int32_t add);

// Word `index` of a tensor's data, which may be unaligned.
uint32_t WordAt(std::span<const std::byte> data, int64_t index);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_INTEGER_MATRIX_H_
