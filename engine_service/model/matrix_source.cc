#include "engine_service/model/matrix_source.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/model/tensor_values.h"

namespace vallm::engine {
namespace {

absl::Status Contradiction(const std::string& tensor, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("tensor '", tensor, "' ", what));
}

// Quantisers leave biases of zeros behind; Qwen3 has none.
absl::Status CheckNoBias(const Checkpoint& checkpoint, const std::string& module) {
  const std::string tensor = module + ".bias";
  if (!checkpoint.Contains(tensor)) return absl::OkStatus();
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint.Find(tensor));
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> values, ToFloats(tensor, view));
  if (std::all_of(values.begin(), values.end(), [](float x) { return x == 0; })) {
    return absl::OkStatus();
  }
  return absl::UnimplementedError(
      absl::StrCat("tensor '", tensor, "' is not zero; biases are not supported"));
}

bool Lists(const std::vector<std::string>& modules, const std::string& module) {
  return std::find(modules.begin(), modules.end(), module) != modules.end();
}

absl::StatusOr<MatrixSource> OpenPlainMatrix(const Checkpoint& checkpoint, const MatrixSpec& spec,
                                             const TensorView& view) {
  const std::string tensor = spec.module + ".weight";
  VALLM_RETURN_IF_ERROR(CheckShape(tensor, view, {spec.rows, spec.cols}));
  if (checkpoint.Contains(tensor + "_scale_inv")) {
    return Contradiction(tensor, absl::StrCat("is ", std::string(DTypeName(view.dtype)),
                                              " but has scales: ", tensor, "_scale_inv"));
  }
  MatrixSource source;
  source.slice = {.type = view.dtype == DType::kF16 ? WeightType::kF16 : WeightType::kBf16,
                  .data = view.data.data(),
                  .matrix_cols = spec.cols,
                  .row_begin = spec.row_range.begin,
                  .row_count = spec.row_range.size(),
                  .col_begin = spec.col_range.begin,
                  .col_count = spec.col_range.size()};
  return source;
}

absl::StatusOr<MatrixSource> OpenIntegerMatrix(const Checkpoint& checkpoint,
                                               const ModelConfig& config, const MatrixSpec& spec) {
  const std::string tensor = spec.module + ".qweight";
  if (!config.integer.has_value()) {
    return Contradiction(tensor, "is there but config.json says nothing of GPTQ or AWQ");
  }
  if (checkpoint.Contains(spec.module + ".weight")) {
    return Contradiction(tensor, absl::StrCat("and '", spec.module, ".weight' are both there"));
  }
  if (Lists(config.integer->modules_to_not_convert, spec.module)) {
    return Contradiction(
        tensor, absl::StrCat("is there but modules_to_not_convert lists '", spec.module, "'"));
  }
  return config.integer->format == IntegerFormat::kAwq
             ? OpenAwqMatrix(checkpoint, *config.integer, spec)
             : OpenGptqMatrix(checkpoint, *config.integer, spec);
}

}  // namespace

absl::StatusOr<MatrixSource> OpenMatrix(const Checkpoint& checkpoint, const ModelConfig& config,
                                        const MatrixSpec& spec) {
  VALLM_RETURN_IF_ERROR(CheckNoBias(checkpoint, spec.module));
  if (checkpoint.Contains(spec.module + ".qweight")) {
    return OpenIntegerMatrix(checkpoint, config, spec);
  }
  const std::string tensor = spec.module + ".weight";
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint.Find(tensor));
  if (view.dtype == DType::kBf16 || view.dtype == DType::kF16) {
    return OpenPlainMatrix(checkpoint, spec, view);
  }
  if (view.dtype != DType::kF8E4m3) return WrongDType(tensor, view, "BF16, F16 or F8_E4M3");
  if (!config.fp8.has_value()) {
    return Contradiction(tensor, "is F8_E4M3 but config.json says nothing of FP8");
  }
  if (Lists(config.fp8->modules_to_not_convert, spec.module)) {
    return Contradiction(
        tensor, absl::StrCat("is F8_E4M3 but modules_to_not_convert lists '", spec.module, "'"));
  }
  return OpenFp8Matrix(checkpoint, *config.fp8, spec);
}

std::vector<std::string> MatrixTensors(const Checkpoint& checkpoint, const std::string& module) {
  std::vector<std::string> names;
  for (const char* suffix :
       {".weight", ".weight_scale_inv", ".qweight", ".qzeros", ".scales", ".g_idx", ".bias"}) {
    if (checkpoint.Contains(module + suffix)) names.push_back(module + suffix);
  }
  return names;
}

}  // namespace vallm::engine
