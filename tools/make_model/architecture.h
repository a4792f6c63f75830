// What make-model knows of the public Qwen3 text releases: the dimensions that their config.json
// gives and how their weights are stored. Facts of the model cards and files of the Qwen
// organisation on Hugging Face; no weights.
#ifndef VALLM_TOOLS_MAKE_MODEL_ARCHITECTURE_H_
#define VALLM_TOOLS_MAKE_MODEL_ARCHITECTURE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::tools {

enum class WeightFormat {
  kBf16,
  kFp8,       // e4m3 in blocks of 128 x 128, scales bf16
  kGptqInt4,  // GPTQ and AWQ: groups of 128 columns; scales and all else f16
  kGptqInt8,
  kAwq,
};

// Defaults of generation_config.json.
struct SamplingConfig {
  double temperature = 0.6;
  double top_p = 0.95;
  int32_t top_k = 20;
  double repetition_penalty = 1;  // 1: not written
};

struct Architecture {
  std::string name = {};  // of the release, e.g. "Qwen3-30B-A3B-FP8"
  WeightFormat format = WeightFormat::kBf16;
  int64_t hidden_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 128;
  int64_t intermediate_size = 0;  // of dense layers; MoE releases carry it unused
  int64_t vocab_size = 151936;
  int64_t max_position_embeddings = 40960;
  double rope_theta = 1e6;
  bool tie_word_embeddings = false;
  bool stores_tied_head = false;  // the files have a lm_head all the same, a copy
  // Mixtures of experts; 0 experts: dense.
  int64_t num_experts = 0;
  int64_t experts_per_token = 0;
  int64_t moe_intermediate_size = 0;
  SamplingConfig sampling = {};

  bool moe() const { return num_experts > 0; }
};

// All releases, in the order of a list for people.
const std::vector<Architecture>& Releases();

// The release called `name`; an owner in front ("Qwen/") and letter case do not matter.
// Errors: NOT_FOUND, with the names that come closest.
absl::StatusOr<Architecture> FindRelease(std::string_view name);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_MAKE_MODEL_ARCHITECTURE_H_
