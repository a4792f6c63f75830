// A short name for what a model computes.
#ifndef VALLM_ENGINE_SERVICE_FINGERPRINT_H_
#define VALLM_ENGINE_SERVICE_FINGERPRINT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vallm::engine {

// 16 hexadecimal digits that depend on config.json, on `numerics` (whatever else the caller knows
// to change results, e.g. rotary scaling and device) and on the safetensors files: their names,
// sizes, headers and 64 pages spread over each. Reading every byte of a large checkpoint would take
// longer than loading it; two checkpoints that differ in weights differ nearly everywhere.
// Errors: NOT_FOUND when a file cannot be read.
absl::StatusOr<std::string> ModelFingerprint(const std::string& model_dir,
                                             std::string_view numerics);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_FINGERPRINT_H_
