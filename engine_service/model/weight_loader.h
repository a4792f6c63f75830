// Takes tensors of a checkpoint, checks them against what the model expects and puts slices of them
// on a device. Knows shapes and dtypes; how matrices are stored is matrix_source.h's business,
// which layer needs what qwen3_weights.h's.
#ifndef VALLM_ENGINE_SERVICE_MODEL_WEIGHT_LOADER_H_
#define VALLM_ENGINE_SERVICE_MODEL_WEIGHT_LOADER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/device/device.h"
#include "engine_service/model/checkpoint.h"
#include "engine_service/model/config.h"
#include "engine_service/model/matrix_source.h"

namespace vallm::engine {

// Errors of all functions: NOT_FOUND (tensor missing), INVALID_ARGUMENT (wrong shape or dtype),
// those of OpenMatrix and of the device.
class WeightLoader {
 public:
  using Progress = std::function<void(int64_t done_bytes, int64_t total_bytes)>;

  // Everything referred to must outlive the loader. `progress` may be null.
  WeightLoader(const Checkpoint& checkpoint, const ModelConfig& config, Device& device,
               const Progress& progress)
      : checkpoint_(checkpoint), config_(config), device_(device), progress_(progress) {}

  // A vector of `size` F32, F16 or BF16 values as f32.
  absl::StatusOr<std::unique_ptr<Buffer>> Vector(const std::string& tensor, int64_t size);
  // A table of bf16 or f16, whole.
  struct LoadedTable {
    std::unique_ptr<Buffer> values;  // [rows, cols]
    WeightType type;
  };
  // `keep_pages`: the tensor will be read again.
  absl::StatusOr<LoadedTable> Table(const std::string& tensor, int64_t rows, int64_t cols,
                                    bool keep_pages);
  // One packed matrix of the given matrices, stacked by rows.
  absl::StatusOr<std::unique_ptr<PackedMatrix>> Matrix(const std::vector<MatrixSpec>& stacked,
                                                       int32_t k_groups);

  struct ExpertSpec {
    MatrixSpec gate, up, down;
  };
  absl::StatusOr<std::unique_ptr<PackedExperts>> Experts(const std::vector<ExpertSpec>& experts,
                                                         int32_t k_groups);

 private:
  // Reports progress and lets go of the pages of `module`'s tensors.
  void Done(const std::string& module);
  void Report(int64_t bytes);

  const Checkpoint& checkpoint_;
  const ModelConfig& config_;
  Device& device_;
  const Progress& progress_;
  int64_t done_bytes_ = 0;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_WEIGHT_LOADER_H_
