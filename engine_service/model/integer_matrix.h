// What GPTQ and AWQ share: weights of 4 or 8 bits packed into 32-bit words, with a scale and a zero
// point per output feature and group of input features. Tensors have input features as rows.
#ifndef VALLM_ENGINE_SERVICE_MODEL_INTEGER_MATRIX_H_
#define VALLM_ENGINE_SERVICE_MODEL_INTEGER_MATRIX_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
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

// Fills values[r, c] of a window of `rows` x `cols`, both whole words, block by block: `fill(row,
// rows, col, cols, block)` writes a part of the window to block[r * kUnpackBlock + c]. Rows of a
// matrix lie a power of two apart as often as not, so writing them in turns would evict what the
// cache holds.
inline constexpr int64_t kUnpackBlock = 64;
template <typename Fill>
void UnpackInBlocks(int64_t rows, int64_t cols, uint8_t* values, const Fill& fill) {
  alignas(64) uint8_t block[kUnpackBlock * kUnpackBlock];
  for (int64_t row = 0; row < rows; row += kUnpackBlock) {
    const int64_t block_rows = std::min(kUnpackBlock, rows - row);
    for (int64_t col = 0; col < cols; col += kUnpackBlock) {
      const int64_t block_cols = std::min(kUnpackBlock, cols - col);
      fill(row, block_rows, col, block_cols, block);
      for (int64_t r = 0; r < block_rows; ++r) {
        std::memcpy(values + (row + r) * cols + col, block + r * kUnpackBlock, block_cols);
      }
    }
  }
}

// Word `index` of a tensor's data, which may be unaligned.
inline uint32_t WordAt(std::span<const std::byte> data, int64_t index) {
  uint32_t word = 0;
  std::memcpy(&word, data.data() + index * sizeof(word), sizeof(word));
  return word;
}

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_INTEGER_MATRIX_H_
