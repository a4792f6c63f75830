#include "engine_service/limits.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

constexpr int32_t kLongModelLen = 131072, kLongInputLen = 102400;
constexpr int32_t kModelLen = 65536, kInputLen = 57344;
constexpr int32_t kYarnOriginalLen = 32768;

// Positions that `config` can tell apart under the JSON's scaling.
absl::StatusOr<int32_t> PositionsUnder(const std::string& rope_scaling_json, ModelConfig config) {
  VALLM_RETURN_IF_ERROR(OverrideRopeScaling(rope_scaling_json, config));
  if (!config.yarn.has_value()) return config.max_position_embeddings;
  const double positions = config.yarn->factor * config.yarn->original_max_position;
  return static_cast<int32_t>(std::clamp(std::floor(positions), 2.0, 16777216.0));
}

std::string Qwen3YarnJson(int32_t max_model_len) {
  const int32_t factor = (max_model_len + kYarnOriginalLen - 1) / kYarnOriginalLen;
  return absl::StrCat(R"({"rope_type":"yarn","factor":)", factor,
                      R"(.0,"original_max_position_embeddings":)", kYarnOriginalLen, "}");
}

}  // namespace

absl::StatusOr<ModelLimits> ResolveLimits(const ModelConfig& config, const EngineOptions& options) {
  const bool overridden = !options.rope_scaling_json.empty();
  if (options.enable_qwen3_rope_scaling && overridden) {
    return absl::InvalidArgumentError(
        "--enable-qwen3-rope-scaling and --rope-scaling exclude one another");
  }
  ModelLimits limits{.rope_scaling_json = options.rope_scaling_json};
  int32_t positions = config.max_position_embeddings;
  if (overridden) {
    VALLM_ASSIGN_OR_RETURN(positions, PositionsUnder(options.rope_scaling_json, config));
  }
  const bool long_context = options.enable_qwen3_rope_scaling && options.tensor_parallel_size >= 4;
  const int32_t product_limit = long_context ? kLongModelLen : kModelLen;
  if (options.enable_qwen3_rope_scaling) {
    limits.max_model_len = options.max_model_len.value_or(product_limit);
  } else {
    limits.max_model_len = options.max_model_len.value_or(std::min(product_limit, positions));
    if (limits.max_model_len > positions && !options.allow_long_max_model_len) {
      return absl::InvalidArgumentError(
          absl::StrCat("--max-model-len is ", limits.max_model_len, "; the model has ", positions,
                       " positions (--enable-qwen3-rope-scaling or --rope-scaling extend them)"));
    }
  }
  if (limits.max_model_len < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("--max-model-len is ", limits.max_model_len, "; it must be at least 2"));
  }
  // At factor 1 the scaling changes nothing, and config.json's own must not be left in place.
  if (options.enable_qwen3_rope_scaling) {
    limits.rope_scaling_json =
        limits.max_model_len > kYarnOriginalLen ? Qwen3YarnJson(limits.max_model_len) : "null";
  }
  int32_t default_input_len = limits.max_model_len - 1;
  if (limits.max_model_len == kLongModelLen) default_input_len = kLongInputLen;
  if (limits.max_model_len == kModelLen) default_input_len = kInputLen;
  limits.max_input_len = options.max_input_len.value_or(default_input_len);
  if (limits.max_input_len < 1 || limits.max_input_len >= limits.max_model_len) {
    return absl::InvalidArgumentError(absl::StrCat("--max-input-len is ", limits.max_input_len,
                                                   "; it must be at least 1 and "
                                                   "below the model length ",
                                                   limits.max_model_len));
  }
  return limits;
}

}  // namespace vallm::engine
