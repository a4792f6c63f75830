// The "quantization_config" of a config.json. Private to the parsing of configurations.
#ifndef VALLM_ENGINE_SERVICE_MODEL_QUANTIZATION_H_
#define VALLM_ENGINE_SERVICE_MODEL_QUANTIZATION_H_

#include "absl/status/status.h"
#include "engine_service/model/config.h"
#include "engine_service/model/json_fields.h"

namespace vallm::engine {

// Sets out.fp8 or out.integer, or neither where `config` has no such field. Errors: as
// ParseModelConfig; every field is either known to change nothing, applied, or refused by name.
absl::Status ParseQuantization(const JsonFields& config, ModelConfig& out);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_QUANTIZATION_H_
