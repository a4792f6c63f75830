// AWQ, version "gemm", as AutoAWQ writes it: 4 bits, 8 values to a word. Value i of word w, at bit
// 4 * i, is that of row 8 * w + {0, 2, 4, 6, 1, 3, 5, 7}[i].
//
//   qweight  I32 [cols, rows / 8]
//   qzeros   I32 [groups, rows / 8]    absent where zero_point is false: then every zero point is 8
//   scales   F16 [groups, rows]
//
//   weight[r, c] = (q[r, c] - zero[g, r]) * scale[g, r],  g = c / group_size
//
// The layout is that of the packing code of AutoAWQ (awq/modules/linear/gemm.py).
#include "common/status_macros.h"
#include "engine_service/model/integer_matrix.h"
#include "engine_service/model/tensor_values.h"

namespace vallm::engine {
namespace {

constexpr int32_t kInterleaved[] = {0, 2, 4, 6, 1, 3, 5, 7};
constexpr int64_t kPerWord = 8;
constexpr int16_t kMiddle = 8;

// values[r, c] of the window from qweight [*, words].
void Unpack(std::span<const std::byte> qweight, int64_t words, const IntegerWindow& window,
            uint8_t* values) {
  const auto fill = [&](int64_t row, int64_t block_rows, int64_t col, int64_t block_cols,
                        uint8_t* block) {
    for (int64_t c = 0; c < block_cols; ++c) {
      const int64_t line =
          (window.cols().begin + col + c) * words + (window.rows().begin + row) / kPerWord;
      for (int64_t r = 0; r < block_rows; r += kPerWord) {
        const uint32_t packed = WordAt(qweight, line + r / kPerWord);
        uint8_t* to = block + r * kUnpackBlock + c;
        for (int64_t i = 0; i < kPerWord; ++i) {
          to[kInterleaved[i] * kUnpackBlock] = static_cast<uint8_t>(packed >> (4 * i) & 15);
        }
      }
    }
  };
  UnpackInBlocks(window.rows().size(), window.cols().size(), values, fill);
}

}  // namespace

absl::StatusOr<MatrixSource> OpenAwqMatrix(const Checkpoint& checkpoint,
                                           const IntegerConfig& config, const MatrixSpec& spec) {
  const std::string tensor = spec.module + ".qweight";
  VALLM_ASSIGN_OR_RETURN(const IntegerWindow window, IntegerWindow::Of(spec, config));
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint.Find(tensor));
  if (view.dtype != DType::kI32) return WrongDType(tensor, view, "I32");
  VALLM_RETURN_IF_ERROR(CheckShape(tensor, view, {spec.cols, spec.rows / kPerWord}));
  MatrixSource source;
  VALLM_ASSIGN_OR_RETURN(source.scales, ReadGroupScales(checkpoint, spec, window));
  if (config.zero_point || checkpoint.Contains(spec.module + ".qzeros")) {
    VALLM_ASSIGN_OR_RETURN(source.zeros,
                           ReadGroupZeros(checkpoint, spec, window, kInterleaved, /*add=*/0));
  } else {
    source.zeros.assign(source.scales.size(), kMiddle);
  }
  source.values =
      std::make_unique_for_overwrite<uint8_t[]>(window.rows().size() * window.cols().size());
  Unpack(view.data, spec.rows / kPerWord, window, source.values.get());
  source.slice = window.Slice(source);
  return source;
}

}  // namespace vallm::engine
