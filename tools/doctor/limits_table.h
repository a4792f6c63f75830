// Which Qwen3 models the vendor's dies take at which TP sizes, and how long requests may be there:
// the table of usage limits that its guides have. Pure.
#ifndef VALLM_TOOLS_DOCTOR_LIMITS_TABLE_H_
#define VALLM_TOOLS_DOCTOR_LIMITS_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine_service/model/config.h"

namespace vallm::tools {

struct DieLimit {
  int tensor_parallel_size = 0;
  int32_t max_input_len = 0;
  int32_t max_model_len = 0;
};

struct ModelDieLimits {
  std::string model;             // "Qwen3-30B-A3B"
  std::vector<DieLimit> limits;  // in the order of TP sizes
};

// By the shape of the model; nothing for one that the table has not.
std::optional<ModelDieLimits> DieLimitsOf(const engine::ModelConfig& config);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DOCTOR_LIMITS_TABLE_H_
