// GPTQ as AutoGPTQ and GPTQModel write it. For a matrix of `rows` output and `cols` input features,
// with p = 32 / bits values to a word, value i of a word at bit i * bits:
//
//   qweight  I32 [cols / p, rows]      word [w, r] has columns p * w .. p * w + p - 1 of row r
//   qzeros   I32 [groups, rows / p]    word [g, w] has rows p * w .. p * w + p - 1;
//   checkpoint_format
//                                      "gptq" stores the zero point minus one, "gptq_v2" as it is
//   scales   F16 [groups, rows]
//   g_idx    I32 [cols]                the group of each column; may be absent
//
//   weight[r, c] = (q[r, c] - zero[g, r]) * scale[g, r],  g = c / group_size
//
// The layout is that of the packing code of the two projects (AutoGPTQ nn_modules/qlinear,
// GPTQModel nn_modules/qlinear); the offset of one, that of GPTQModel utils/model.py.
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/model/integer_matrix.h"
#include "engine_service/model/tensor_values.h"

namespace vallm::engine {
namespace {

constexpr int32_t kInOrder[] = {0, 1, 2, 3, 4, 5, 6, 7};

absl::Status CheckGroupIndex(const Checkpoint& checkpoint, const MatrixSpec& spec,
                             int32_t group_size) {
  const std::string tensor = spec.module + ".g_idx";
  if (!checkpoint.Contains(tensor)) return absl::OkStatus();
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint.Find(tensor));
  VALLM_ASSIGN_OR_RETURN(const std::vector<int32_t> groups, ToInts(tensor, view));
  if (groups.empty()) return absl::OkStatus();
  VALLM_RETURN_IF_ERROR(CheckShape(tensor, view, {spec.cols}));
  for (int64_t i = 0; i < spec.cols; ++i) {
    const int64_t want = group_size > 0 ? i / group_size : 0;
    if (groups[i] == want) continue;
    return absl::UnimplementedError(absl::StrCat(
        "tensor '", tensor, "': column ", i, " is in group ", groups[i], ", not ", want,
        ": weights in the order of their activations (desc_act) are not supported"));
  }
  return absl::OkStatus();
}

// The four or eight values of a word, one to a byte, the first in the lowest.
uint64_t Spread4(uint32_t word) {
  uint64_t x = word;
  x = (x | x << 16) & 0x0000ffff0000ffff;
  x = (x | x << 8) & 0x00ff00ff00ff00ff;
  return (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
}

// values[r, c] of the window from qweight [*, rows].
void Unpack(std::span<const std::byte> qweight, int64_t rows, const IntegerWindow& window,
            uint8_t* values) {
  const int64_t per_word = window.values_per_word();
  const auto fill = [&](int64_t row, int64_t block_rows, int64_t col, int64_t block_cols,
                        uint8_t* block) {
    for (int64_t c = 0; c < block_cols; c += per_word) {
      const int64_t line =
          (window.cols().begin + col + c) / per_word * rows + window.rows().begin + row;
      for (int64_t r = 0; r < block_rows; ++r) {
        const uint32_t word = WordAt(qweight, line + r);
        uint8_t* to = block + r * kUnpackBlock + c;
        if (per_word == 8) {
          const uint64_t spread = Spread4(word);
          std::memcpy(to, &spread, sizeof(spread));
        } else {
          std::memcpy(to, &word, sizeof(word));
        }
      }
    }
  };
  UnpackInBlocks(window.rows().size(), window.cols().size(), values, fill);
}

}  // namespace

absl::StatusOr<MatrixSource> OpenGptqMatrix(const Checkpoint& checkpoint,
                                            const IntegerConfig& config, const MatrixSpec& spec) {
  const std::string tensor = spec.module + ".qweight";
  VALLM_ASSIGN_OR_RETURN(const IntegerWindow window, IntegerWindow::Of(spec, config));
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint.Find(tensor));
  if (view.dtype != DType::kI32) return WrongDType(tensor, view, "I32");
  VALLM_RETURN_IF_ERROR(
      CheckShape(tensor, view, {spec.cols / window.values_per_word(), spec.rows}));
  VALLM_RETURN_IF_ERROR(CheckGroupIndex(checkpoint, spec, config.group_size));
  MatrixSource source;
  VALLM_ASSIGN_OR_RETURN(source.scales, ReadGroupScales(checkpoint, spec, window));
  const int32_t add = config.format == IntegerFormat::kGptq ? 1 : 0;
  VALLM_ASSIGN_OR_RETURN(source.zeros, ReadGroupZeros(checkpoint, spec, window, kInOrder, add));
  source.values =
      std::make_unique_for_overwrite<uint8_t[]>(window.rows().size() * window.cols().size());
  Unpack(view.data, spec.rows, window, source.values.get());
  source.slice = window.Slice(source);
  return source;
}

}  // namespace vallm::engine
