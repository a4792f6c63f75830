// Block-wise FP8: `module`.weight F8_E4M3 [rows, cols] and `module`.weight_scale_inv, F32, F16 or
// BF16 [ceil(rows / block_rows), ceil(cols / block_cols)]; a weight is the product of the two. The
// last blocks of a row or column may be cut short.
#include "common/status_macros.h"
#include "engine_service/model/matrix_source.h"
#include "engine_service/model/tensor_values.h"

namespace vallm::engine {

absl::StatusOr<MatrixSource> OpenFp8Matrix(const Checkpoint& checkpoint, const Fp8Config& fp8,
                                           const MatrixSpec& spec) {
  const std::string tensor = spec.module + ".weight", scale_tensor = tensor + "_scale_inv";
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint.Find(tensor));
  VALLM_RETURN_IF_ERROR(CheckShape(tensor, view, {spec.rows, spec.cols}));
  VALLM_ASSIGN_OR_RETURN(const TensorView scale_view, checkpoint.Find(scale_tensor));
  const int64_t block_rows = (spec.rows + fp8.block_rows - 1) / fp8.block_rows;
  const int64_t block_cols = (spec.cols + fp8.block_cols - 1) / fp8.block_cols;
  VALLM_RETURN_IF_ERROR(CheckShape(scale_tensor, scale_view, {block_rows, block_cols}));
  MatrixSource source;
  VALLM_ASSIGN_OR_RETURN(source.scales, ToFloats(scale_tensor, scale_view));
  source.slice = {.type = WeightType::kF8E4m3,
                  .data = view.data.data(),
                  .matrix_cols = spec.cols,
                  .row_begin = spec.row_range.begin,
                  .row_count = spec.row_range.size(),
                  .col_begin = spec.col_range.begin,
                  .col_count = spec.col_range.size(),
                  .scales = source.scales.data(),
                  .scale_cols = block_cols,
                  .block_rows = fp8.block_rows,
                  .block_cols = fp8.block_cols};
  return source;
}

}  // namespace vallm::engine
