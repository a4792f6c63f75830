// How long a request may be: DESIGN.md's table of the product being replaced, the model's own
// limit, and what the options say. Pure.
#ifndef VALLM_ENGINE_SERVICE_LIMITS_H_
#define VALLM_ENGINE_SERVICE_LIMITS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "engine_service/engine_options.h"
#include "engine_service/model/config.h"

namespace vallm::engine {

struct ModelLimits {
  int32_t max_model_len = 0;
  int32_t max_input_len = 0;
  std::string rope_scaling_json;  // what the workers must apply; empty: config.json's own
};

// Defaults: max_model_len is 131072 for YaRN at TP 4 and up, else 65536, and never more than the
// model's positions; max_input_len is 102400 of 131072, 57344 of 65536, else max_model_len - 1.
//
// The model's positions are config.json's max_position_embeddings, or factor times original length
// where options.rope_scaling_json replaces the scaling. options.enable_qwen3_rope_scaling makes
// them unlimited: YaRN with original length 32768 and factor max(1, ceil(max_model_len / 32768)).
// options.allow_long_max_model_len makes them unlimited as well and changes nothing else.
//
// Errors: INVALID_ARGUMENT (a limit out of range, more positions than the model has, both kinds of
// scaling, malformed JSON).
absl::StatusOr<ModelLimits> ResolveLimits(const ModelConfig& config, const EngineOptions& options);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_LIMITS_H_
