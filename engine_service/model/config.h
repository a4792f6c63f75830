// What a Hugging Face model directory says about its model: config.json and generation_config.json,
// checked and reduced to what this engine runs.
//
// A configuration is either understood completely or refused: a field that would change the result
// and is not implemented is an error that names the field and its value, never a silent default.
#ifndef VALLM_ENGINE_SERVICE_MODEL_CONFIG_H_
#define VALLM_ENGINE_SERVICE_MODEL_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vallm::engine {

// YaRN, as transformers computes it (model/rope.h).
struct YarnScaling {
  double factor = 1;
  double original_max_position = 0;
  double beta_fast = 32;
  double beta_slow = 1;
  double attention_factor = 1;  // multiplies cosine and sine; 0.1 ln(factor) + 1 unless given
  bool truncate = true;         // whether the ramp's ends are rounded outwards to whole dimensions
};

struct MoeConfig {
  int32_t num_experts = 0;
  int32_t experts_per_token = 0;
  int32_t intermediate_size = 0;
  bool norm_topk_prob = false;
  int32_t sparse_step = 1;            // layer i is sparse when (i + 1) % sparse_step == 0 …
  std::vector<int32_t> dense_layers;  // … and i is not listed here
};

// Block-wise FP8 weights: e4m3 with one scale per block.
struct Fp8Config {
  int32_t block_rows = 128;
  int32_t block_cols = 128;
  std::vector<std::string> modules_to_not_convert;  // module names that stay in bf16 or f16
};

// Weights of 4 or 8 bits with a scale and a zero point per row and group of columns.
enum class IntegerFormat {
  kGptq,    // checkpoint_format "gptq": a zero point is stored as one less
  kGptqV2,  // "gptq_v2": as it is
  kAwq,     // version "gemm"
};
struct IntegerConfig {
  IntegerFormat format = IntegerFormat::kGptq;
  int32_t bits = 4;          // 4 or 8; AWQ: 4
  int32_t group_size = 128;  // columns; a multiple of 8. 0: all columns of a matrix are one group
  bool zero_point = true;    // AWQ: whether there are zero points; they are 8 otherwise
  std::vector<std::string> modules_to_not_convert;  // AWQ; parts of module names
};

// Sampling defaults of generation_config.json; unset where the file says nothing.
struct SamplingDefaults {
  std::optional<bool> do_sample;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<int32_t> top_k;
  std::optional<double> repetition_penalty;
};

struct ModelConfig {
  std::string architecture;  // "Qwen3ForCausalLM" or "Qwen3MoeForCausalLM"
  std::string dtype;         // "torch_dtype" or "dtype"; empty if absent. The tensors decide
  int32_t vocab_size = 0;    // rows of the embedding, padding included
  int32_t hidden_size = 0;
  int32_t num_layers = 0;
  int32_t num_heads = 0;  // query heads
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t intermediate_size = 0;  // of dense MLP layers
  int32_t max_position_embeddings = 0;
  float rms_norm_eps = 0;
  bool tie_word_embeddings = false;
  double rope_theta = 0;
  std::optional<YarnScaling> yarn;
  std::optional<MoeConfig> moe;          // set for Qwen3MoeForCausalLM
  std::optional<Fp8Config> fp8;          // at most one of
  std::optional<IntegerConfig> integer;  // the two
  std::optional<int32_t> bos_token_id;
  std::vector<int32_t>
      eos_token_ids;  // generation_config.json's if it has them, else config.json's
  SamplingDefaults sampling;

  bool IsSparseLayer(int32_t layer) const;
};

// Parses the texts of the two files; `generation_json` may be empty (no such file).
// Errors: INVALID_ARGUMENT (malformed, missing or out-of-range field), UNIMPLEMENTED (an
// architecture, quantisation or option that this engine does not run).
absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view config_json,
                                             std::string_view generation_json);

// Reads and parses the files of a model directory. Errors: as above, NOT_FOUND (no config.json).
absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& model_dir);

// Replaces the rotary scaling of `config` by `rope_scaling_json`, an object in the form of
// config.json's "rope_scaling" or "rope_parameters" ("null" removes it). `config` is unchanged on
// error. Errors: as ParseModelConfig.
absl::Status OverrideRopeScaling(std::string_view rope_scaling_json, ModelConfig& config);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_CONFIG_H_
