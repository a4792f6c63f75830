#include "engine_service/model/weight_loader.h"

#include <algorithm>
#include <span>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/model/tensor_values.h"

namespace vallm::engine {

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

absl::StatusOr<WeightLoader::LoadedTable> WeightLoader::Table(const std::string& tensor,
                                                              int64_t rows, int64_t cols,
                                                              bool keep_pages) {
  VALLM_ASSIGN_OR_RETURN(const TensorView view, checkpoint_.Find(tensor));
  VALLM_RETURN_IF_ERROR(CheckShape(tensor, view, {rows, cols}));
  if (view.dtype != DType::kBf16 && view.dtype != DType::kF16) {
    return WrongDType(tensor, view, "BF16 or F16");
  }
  const int64_t bytes = static_cast<int64_t>(view.data.size());
  LoadedTable table;
  table.type = view.dtype == DType::kF16 ? WeightType::kF16 : WeightType::kBf16;
  VALLM_ASSIGN_OR_RETURN(table.values, device_.Allocate(bytes));
  VALLM_RETURN_IF_ERROR(device_.Upload(view.data, *table.values));
  Report(bytes);
  if (!keep_pages) checkpoint_.ReleasePages(tensor);
  return table;
}

absl::StatusOr<std::unique_ptr<PackedMatrix>> WeightLoader::Matrix(
    const std::vector<MatrixSpec>& stacked, int32_t k_groups) {
  std::vector<MatrixSource> sources;
  std::vector<WeightSlice> slices;
  for (const MatrixSpec& spec : stacked) {
    VALLM_ASSIGN_OR_RETURN(MatrixSource source, OpenMatrix(checkpoint_, config_, spec));
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
  std::vector<MatrixSource> sources;
  std::vector<ExpertSlices> slices;
  for (const ExpertSpec& expert : experts) {
    ExpertSlices& out = slices.emplace_back();
    const std::pair<const MatrixSpec&, WeightSlice&> parts[] = {
        {expert.gate, out.gate}, {expert.up, out.up}, {expert.down, out.down}};
    for (const auto& [spec, slice] : parts) {
      VALLM_ASSIGN_OR_RETURN(MatrixSource source, OpenMatrix(checkpoint_, config_, spec));
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
  for (const std::string& tensor : MatrixTensors(checkpoint_, module)) {
    bytes += static_cast<int64_t>(checkpoint_.Find(tensor)->data.size());
    checkpoint_.ReleasePages(tensor);
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
