#include "engine_service/model/tensor_values.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/strings.h"
#include "engine_service/device/half.h"

namespace vallm::engine {

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

absl::StatusOr<std::vector<float>> ToFloats(const std::string& tensor, const TensorView& view) {
  std::vector<float> values;
  if (view.dtype == DType::kF32) {
    values.resize(view.data.size() / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), view.data.data(), view.data.size());
  } else if (view.dtype == DType::kBf16 || view.dtype == DType::kF16) {
    values.resize(view.data.size() / sizeof(uint16_t));
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t raw = 0;
      std::memcpy(&raw, view.data.data() + i * sizeof(raw), sizeof(raw));
      // bf16 is the upper half of a float.
      values[i] =
          view.dtype == DType::kF16 ? HalfToFloat(raw) : std::bit_cast<float>(uint32_t{raw} << 16);
    }
  } else {
    return WrongDType(tensor, view, "F32, F16 or BF16");
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("tensor '", tensor, "': value ", i, " is ", values[i], "; want finite ones"));
  }
  return values;
}

absl::StatusOr<std::vector<int32_t>> ToInts(const std::string& tensor, const TensorView& view) {
  if (view.dtype != DType::kI32) return WrongDType(tensor, view, "I32");
  std::vector<int32_t> values(view.data.size() / sizeof(int32_t));
  if (!values.empty()) std::memcpy(values.data(), view.data.data(), view.data.size());
  return values;
}

}  // namespace vallm::engine
