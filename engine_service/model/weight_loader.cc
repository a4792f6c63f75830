#include "engine_service/model/weight_loader.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::engine {
namespace {

absl::Status CheckShape(const std::string& tensor, const TensorView& view,
                        const std::vector<int64_t>& want) {
  if (view.shape == want) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("tensor '", tensor, "' has shape [",
                                                 absl::StrJoin(view.shape, ", "), "]; want [",
                                                 absl::StrJoin(want, ", "), "]"));
}

absl::Status WrongDType(const std::string& tensor, const TensorView& view, const char* want) {
  return absl::InvalidArgumentError(
      absl::StrCat("tensor '", tensor, "' is ", ToAbsl(DTypeName(view.dtype)), "; want ", want));
}

// Values of a bf16 or f32 tensor, which may be unaligned.
absl::StatusOr<std::vector<float>> ToFloats(const std::string& tensor, const TensorView& view) {
  if (view.dtype == DType::kF32) {
    std::vector<float> values(view.data.size() / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), view.data.data(), view.data.size());
    return values;
  }
  if (view.dtype != DType::kBf16) return WrongDType(tensor, view, "BF16 or F32");
  std::vector<float> values(view.data.size() / sizeof(uint16_t));
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t raw = 0;
    std::memcpy(&raw, view.data.data() + i * sizeof(raw), sizeof(raw));
    const uint32_t bits = uint32_t{raw} << 16;  // bf16 is the upper half of a float
    std::memcpy(&values[i], &bits, sizeof(bits));
  }
  return values;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Buffer>> WeightLoader::Vector(const std::string& tensor,
                                                             int64_t size) {
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint_.Find(tensor));
  VALLM_RETURN_IF_ERROR(CheckShape(tensor, view, {size}));
  VALLM_ASSIGN_OR_RETURN(const std::vector<float> values, ToFloats(tensor, view));
  VALLM_ASSIGN_OR_RETURN(std::unique_ptr<Buffer> buffer,
                         device_.Allocate(size * int64_t{sizeof(float)}));
  VALLM_RETURN_IF_ERROR(device_.Upload(std::as_bytes(std::span(values)), *buffer));
  Report(static_cast<int64_t>(view.data.size()));
  return buffer;
}

absl::StatusOr<std::unique_ptr<Buffer>> WeightLoader::Table(const std::string& tensor, int64_t rows,
                                                            int64_t cols, bool keep_pages) {
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint_.Find(tensor));
  VALLM_RETURN_IF_ERROR(CheckShape(tensor, view, {rows, cols}));
  if (view.dtype != DType::kBf16) return WrongDType(tensor, view, "BF16");
  const int64_t bytes = static_cast<int64_t>(view.data.size());
  VALLM_ASSIGN_OR_RETURN(std::unique_ptr<Buffer> buffer, device_.Allocate(bytes));
  VALLM_RETURN_IF_ERROR(device_.Upload(view.data, *buffer));
  Report(bytes);
  if (!keep_pages) checkpoint_.ReleasePages(tensor);
  return buffer;
}

absl::StatusOr<std::vector<float>> WeightLoader::Scales(const MatrixSpec& spec) const {
  const std::string tensor = spec.module + ".weight_scale_inv";
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint_.Find(tensor));
  const int64_t block_rows = (spec.rows + fp8_->block_rows - 1) / fp8_->block_rows;
  const int64_t block_cols = (spec.cols + fp8_->block_cols - 1) / fp8_->block_cols;
  VALLM_RETURN_IF_ERROR(CheckShape(tensor, view, {block_rows, block_cols}));
  return ToFloats(tensor, view);
}

absl::StatusOr<WeightLoader::Source> WeightLoader::Open(const MatrixSpec& spec) const {
  const std::string tensor = spec.module + ".weight";
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint_.Find(tensor));
  VALLM_RETURN_IF_ERROR(CheckShape(tensor, view, {spec.rows, spec.cols}));
  Source source;
  source.slice = {.data = view.data.data(),
                  .matrix_cols = spec.cols,
                  .row_begin = spec.row_range.begin,
                  .row_count = spec.row_range.size(),
                  .col_begin = spec.col_range.begin,
                  .col_count = spec.col_range.size()};
  if (view.dtype == DType::kBf16) {
    if (checkpoint_.Contains(tensor + "_scale_inv")) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor '", tensor, "' is BF16 but has scales: ", tensor, "_scale_inv"));
    }
    source.slice.type = WeightType::kBf16;
    return source;
  }
  if (view.dtype != DType::kF8E4m3) return WrongDType(tensor, view, "BF16 or F8_E4M3");
  if (!fp8_.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor '", tensor, "' is F8_E4M3 but config.json has no quantization_config"));
  }
  const std::vector<std::string>& excluded = fp8_->modules_to_not_convert;
  if (std::find(excluded.begin(), excluded.end(), spec.module) != excluded.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor '", tensor, "' is F8_E4M3 but modules_to_not_convert lists '", spec.module, "'"));
  }
  VALLM_ASSIGN_OR_RETURN(source.scales, Scales(spec));
  source.slice.type = WeightType::kF8E4m3;
  source.slice.scales = source.scales.data();
  source.slice.scale_cols = (spec.cols + fp8_->block_cols - 1) / fp8_->block_cols;
  source.slice.block_rows = fp8_->block_rows;
  source.slice.block_cols = fp8_->block_cols;
  return source;
}

absl::StatusOr<std::unique_ptr<PackedMatrix>> WeightLoader::Matrix(
    const std::vector<MatrixSpec>& stacked, int32_t k_groups) {
  std::vector<Source> sources;
  std::vector<WeightSlice> slices;
  for (const MatrixSpec& spec : stacked) {
    VALLM_ASSIGN_OR_RETURN(Source source, Open(spec));
    sources.push_back(std::move(source));
    slices.push_back(sources.back().slice);
  }
  absl::StatusOr<std::unique_ptr<PackedMatrix>> packed = device_.PackMatrix(slices, k_groups);
  if (!packed.ok()) {
    return absl::Status(packed.status().code(),
                        absl::StrCat(stacked[0].module, ": ", packed.status().message()));
  }
  for (const MatrixSpec& spec : stacked) Done(spec.module);
  return packed;
}

absl::StatusOr<std::unique_ptr<PackedExperts>> WeightLoader::Experts(
    const std::vector<ExpertSpec>& experts, int32_t k_groups) {
  std::vector<Source> sources;  // moving a Source does not move its scales
  std::vector<ExpertSlices> slices;
  for (const ExpertSpec& expert : experts) {
    ExpertSlices& out = slices.emplace_back();
    const std::pair<const MatrixSpec&, WeightSlice&> parts[] = {
        {expert.gate, out.gate}, {expert.up, out.up}, {expert.down, out.down}};
    for (const auto& [spec, slice] : parts) {
      VALLM_ASSIGN_OR_RETURN(Source source, Open(spec));
      sources.push_back(std::move(source));
      slice = sources.back().slice;
    }
  }
  absl::StatusOr<std::unique_ptr<PackedExperts>> packed = device_.PackExperts(slices, k_groups);
  if (!packed.ok()) {
    return absl::Status(packed.status().code(),
                        absl::StrCat(experts[0].gate.module, "…: ", packed.status().message()));
  }
  for (const ExpertSpec& expert : experts) {
    for (const MatrixSpec* spec : {&expert.gate, &expert.up, &expert.down}) Done(spec->module);
  }
  return packed;
}

void WeightLoader::Done(const std::string& module) {
  int64_t bytes = 0;
  for (const char* suffix : {".weight", ".weight_scale_inv"}) {
    const absl::StatusOr<TensorView> view = checkpoint_.Find(module + suffix);
    if (!view.ok()) continue;
    bytes += static_cast<int64_t>(view->data.size());
    checkpoint_.ReleasePages(module + suffix);
  }
  Report(bytes);
}

void WeightLoader::Report(int64_t bytes) {
  const int64_t total = checkpoint_.total_bytes();
  // A tied embedding is read twice.
  done_bytes_ = std::min(done_bytes_ + bytes, total);
  if (progress_) progress_(done_bytes_, total);
}

}  // namespace vallm::engine
