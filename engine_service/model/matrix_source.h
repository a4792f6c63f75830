// Finds a matrix of the model in a checkpoint, in whichever format it is stored, and hands it out
// as a slice that a device can pack. One source file per format: plain and the choice here,
// fp8_matrix.cc, integer_matrix.cc for what GPTQ and AWQ share, gptq_matrix.cc, awq_matrix.cc.
#ifndef VALLM_ENGINE_SERVICE_MODEL_MATRIX_SOURCE_H_
#define VALLM_ENGINE_SERVICE_MODEL_MATRIX_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/device/weight_slice.h"
#include "engine_service/model/checkpoint.h"
#include "engine_service/model/config.h"
#include "engine_service/model/sharding.h"

namespace vallm::engine {

// A matrix of the model and the part of it that is wanted.
struct MatrixSpec {
  std::string module;  // its tensors are `module`.weight and so on
  int64_t rows = 0;    // of the whole matrix, output features
  int64_t cols = 0;    // input features
  Range row_range;
  Range col_range;
};

// A slice and the memory that it points to where that is not the checkpoint's. May be moved.
struct MatrixSource {
  WeightSlice slice;
  std::unique_ptr<uint8_t[]> values;
  std::vector<float> scales;
  std::vector<int16_t> zeros;
};

// The wanted part of a matrix. The tensors present say how it is stored, and must agree with what
// the configuration says of quantisation.
// Errors: NOT_FOUND (a tensor is missing), INVALID_ARGUMENT (wrong shape, dtype or value; tensors
// that contradict each other or the configuration), UNIMPLEMENTED (a bias, an order of
// activations).
absl::StatusOr<MatrixSource> OpenMatrix(const Checkpoint& checkpoint, const ModelConfig& config,
                                        const MatrixSpec& spec);

// Names of the tensors of `module` that a matrix may be made of and that the checkpoint has.
std::vector<std::string> MatrixTensors(const Checkpoint& checkpoint, const std::string& module);

// The formats. REQUIRES: the checkpoint has `module`.weight in F8_E4M3, or `module`.qweight.
absl::StatusOr<MatrixSource> OpenFp8Matrix(const Checkpoint& checkpoint, const Fp8Config& fp8,
                                           const MatrixSpec& spec);
absl::StatusOr<MatrixSource> OpenGptqMatrix(const Checkpoint& checkpoint,
                                            const IntegerConfig& config, const MatrixSpec& spec);
absl::StatusOr<MatrixSource> OpenAwqMatrix(const Checkpoint& checkpoint,
                                           const IntegerConfig& config, const MatrixSpec& spec);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_MATRIX_SOURCE_H_
