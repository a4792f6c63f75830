// Checks and conversions of single tensors, with errors that name the tensor.
#ifndef VALLM_ENGINE_SERVICE_MODEL_TENSOR_VALUES_H_
#define VALLM_ENGINE_SERVICE_MODEL_TENSOR_VALUES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/model/safetensors.h"

namespace vallm::engine {

// INVALID_ARGUMENT unless the view has that shape, with both in the message.
absl::Status CheckShape(const std::string& tensor, const TensorView& view,
                        const std::vector<int64_t>& want);

// INVALID_ARGUMENT: "tensor 'x' is F16; want <want>".
absl::Status WrongDType(const std::string& tensor, const TensorView& view, const char* want);

// Values of an F32, F16 or BF16 tensor, which may be unaligned; every one finite. Exact.
// Errors: INVALID_ARGUMENT (another dtype, an infinity or NaN).
absl::StatusOr<std::vector<float>> ToFloats(const std::string& tensor, const TensorView& view);

// Values of an I32 tensor, which may be unaligned. Errors: INVALID_ARGUMENT (another dtype).
absl::StatusOr<std::vector<int32_t>> ToInts(const std::string& tensor, const TensorView& view);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_TENSOR_VALUES_H_
