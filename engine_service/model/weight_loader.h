// Takes tensors of a checkpoint, checks them against what the model expects and puts slices of them
// on a device. Knows shapes, dtypes and scales; not layers.
#ifndef VALLM_ENGINE_SERVICE_MODEL_WEIGHT_LOADER_H_
#define VALLM_ENGINE_SERVICE_MODEL_WEIGHT_LOADER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/device/device.h"
#include "engine_service/model/checkpoint.h"
#include "engine_service/model/config.h"
#include "engine_service/model/sharding.h"

namespace vallm::engine {

// A matrix of the model and the part of it that is wanted.
struct MatrixSpec {
  std::string module;  // the tensor is `module`.weight, its scales `module`.weight_scale_inv
  int64_t rows = 0;    // of the whole matrix
  int64_t cols = 0;
  Range row_range;
  Range col_range;
};

// Errors of all functions: NOT_FOUND (tensor missing), INVALID_ARGUMENT (wrong shape or dtype,
// missing or superfluous scales), those of the device.
class WeightLoader {
 public:
  using Progress = std::function<void(int64_t done_bytes, int64_t total_bytes)>;

  // Everything referred to must outlive the loader. `progress` may be null.
  WeightLoader(const Checkpoint& checkpoint, const std::optional<Fp8Config>& fp8, Device& device,
               const Progress& progress)
      : checkpoint_(checkpoint), fp8_(fp8), device_(device), progress_(progress) {}

  // A vector of `size` bf16 or f32 values as f32.
  absl::StatusOr<std::unique_ptr<Buffer>> Vector(const std::string& tensor, int64_t size);
  // A bf16 table, whole. `keep_pages`: the tensor will be read again.
  absl::StatusOr<std::unique_ptr<Buffer>> Table(const std::string& tensor, int64_t rows,
                                                int64_t cols, bool keep_pages);
  // One packed matrix of the given matrices, stacked by rows.
  absl::StatusOr<std::unique_ptr<PackedMatrix>> Matrix(const std::vector<MatrixSpec>& stacked,
                                                       int32_t k_groups);

  struct ExpertSpec {
    MatrixSpec gate, up, down;
  };
  absl::StatusOr<std::unique_ptr<PackedExperts>> Experts(const std::vector<ExpertSpec>& experts,
                                                         int32_t k_groups);

 private:
  // A slice and the scales it points to.
  struct Source {
    WeightSlice slice;
    std::vector<float> scales;
  };
  absl::StatusOr<Source> Open(const MatrixSpec& spec) const;
  absl::StatusOr<std::vector<float>> Scales(const MatrixSpec& spec) const;
  // Reports progress and lets go of the pages of `module`'s tensors.
  void Done(const std::string& module);
  void Report(int64_t bytes);

  const Checkpoint& checkpoint_;
  const std::optional<Fp8Config>& fp8_;
  Device& device_;
  const Progress& progress_;
  int64_t done_bytes_ = 0;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_WEIGHT_LOADER_H_
