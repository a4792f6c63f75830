#include "engine_service/model/config.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "engine_service/model/json_fields.h"
#include "engine_service/model/quantization.h"

namespace vallm::engine {
namespace {

using nlohmann::json;

constexpr int64_t kMaxDimension = int64_t{1} << 24;  // generous, and products of two fit an int64
constexpr int64_t kMaxTokenId = INT32_MAX;

absl::Status ParseArchitecture(const JsonFields& config, ModelConfig& out) {
  VALLM_ASSIGN_OR_RETURN(const std::vector<std::string> names, config.Strings("architectures"));
  if (names.size() != 1) return config.Invalid("architectures", "want a list of one name");
  if (names[0] != "Qwen3ForCausalLM" && names[0] != "Qwen3MoeForCausalLM") {
    return config.Unsupported("architectures",
                              "only Qwen3ForCausalLM and Qwen3MoeForCausalLM are supported");
  }
  out.architecture = names[0];
  return absl::OkStatus();
}

// Options of the architecture that change the result and that no Qwen3 release uses.
absl::Status RefuseUnsupported(const JsonFields& config) {
  if (config.Find("hidden_act") != nullptr) {
    VALLM_ASSIGN_OR_RETURN(const std::string act, config.String("hidden_act"));
    if (act != "silu") return config.Unsupported("hidden_act", "only silu is supported");
  }
  for (const char* name : {"attention_bias", "qkv_bias", "mlp_bias", "use_sliding_window"}) {
    VALLM_ASSIGN_OR_RETURN(const bool on, config.BoolOr(name, false));
    if (on) return config.Unsupported(name, "only false is supported");
  }
  VALLM_ASSIGN_OR_RETURN(const bool qk_norm, config.BoolOr("use_qk_norm", true));
  if (!qk_norm) return config.Unsupported("use_qk_norm", "only true is supported");
  VALLM_ASSIGN_OR_RETURN(const int64_t shared,
                         config.IntOr("shared_expert_intermediate_size", 0, kMaxDimension, 0));
  if (shared != 0) {
    return config.Unsupported("shared_expert_intermediate_size", "only 0 is supported");
  }
  VALLM_ASSIGN_OR_RETURN(const std::vector<std::string> layer_types, config.Strings("layer_types"));
  for (const std::string& type : layer_types) {
    if (type != "full_attention") {
      return config.Unsupported("layer_types", "only full_attention is supported");
    }
  }
  VALLM_ASSIGN_OR_RETURN(const double rotary, config.NumberOr("partial_rotary_factor", 0, 1, 1));
  if (rotary != 1) return config.Unsupported("partial_rotary_factor", "only 1 is supported");
  return absl::OkStatus();
}

// Tensors say for themselves what they are; the field is for people, but must make sense.
absl::Status ParseDType(const JsonFields& config, ModelConfig& out) {
  for (const char* name : {"torch_dtype", "dtype"}) {
    if (config.Find(name) == nullptr) continue;
    VALLM_ASSIGN_OR_RETURN(out.dtype, config.String(name));
    if (out.dtype != "bfloat16" && out.dtype != "float16" && out.dtype != "float32") {
      return config.Unsupported(name, "only bfloat16, float16 and float32 are supported");
    }
  }
  return absl::OkStatus();
}

absl::Status ParseDimensions(const JsonFields& config, ModelConfig& out) {
  const auto read = [&](const char* name, int32_t& field) -> absl::Status {
    VALLM_ASSIGN_OR_RETURN(const int64_t value, config.Int(name, 1, kMaxDimension));
    field = static_cast<int32_t>(value);
    return absl::OkStatus();
  };
  VALLM_RETURN_IF_ERROR(read("vocab_size", out.vocab_size));
  VALLM_RETURN_IF_ERROR(read("hidden_size", out.hidden_size));
  VALLM_RETURN_IF_ERROR(read("num_hidden_layers", out.num_layers));
  VALLM_RETURN_IF_ERROR(read("num_attention_heads", out.num_heads));
  VALLM_RETURN_IF_ERROR(read("num_key_value_heads", out.num_kv_heads));
  VALLM_RETURN_IF_ERROR(read("head_dim", out.head_dim));
  VALLM_RETURN_IF_ERROR(read("intermediate_size", out.intermediate_size));
  VALLM_RETURN_IF_ERROR(read("max_position_embeddings", out.max_position_embeddings));
  VALLM_ASSIGN_OR_RETURN(const double eps, config.Number("rms_norm_eps", 0, 1));
  out.rms_norm_eps = static_cast<float>(eps);
  VALLM_ASSIGN_OR_RETURN(out.tie_word_embeddings, config.BoolOr("tie_word_embeddings", false));
  if (out.hidden_size % 16 != 0) {
    return config.Unsupported("hidden_size", "only multiples of 16 are supported");
  }
  if (out.head_dim % 32 != 0 || out.head_dim > 256) {
    return config.Unsupported("head_dim", "only multiples of 32 up to 256 are supported");
  }
  if (out.num_heads % out.num_kv_heads != 0) {
    return config.Invalid("num_attention_heads", "not a multiple of num_key_value_heads");
  }
  return absl::OkStatus();
}

absl::Status ParseMoe(const JsonFields& config, ModelConfig& out) {
  if (out.architecture != "Qwen3MoeForCausalLM") return absl::OkStatus();
  MoeConfig moe;
  VALLM_ASSIGN_OR_RETURN(moe.num_experts, config.Int("num_experts", 1, 65536));
  VALLM_ASSIGN_OR_RETURN(moe.experts_per_token,
                         config.Int("num_experts_per_tok", 1, moe.num_experts));
  VALLM_ASSIGN_OR_RETURN(moe.intermediate_size,
                         config.Int("moe_intermediate_size", 1, kMaxDimension));
  VALLM_ASSIGN_OR_RETURN(moe.norm_topk_prob, config.BoolOr("norm_topk_prob", false));
  VALLM_ASSIGN_OR_RETURN(moe.sparse_step, config.IntOr("decoder_sparse_step", 1, 1 << 20, 1));
  VALLM_ASSIGN_OR_RETURN(moe.dense_layers, config.Ints("mlp_only_layers", 0, out.num_layers - 1));
  out.moe = std::move(moe);
  return absl::OkStatus();
}

// `rope` is an object in the form of "rope_scaling" or "rope_parameters".
absl::StatusOr<std::optional<YarnScaling>> ParseRopeScaling(const JsonFields& rope,
                                                            const ModelConfig& config) {
  const char* type_field = rope.Find("rope_type") != nullptr ? "rope_type" : "type";
  VALLM_ASSIGN_OR_RETURN(const std::string type, rope.String(type_field));
  if (type == "default") {
    VALLM_RETURN_IF_ERROR(rope.OnlyHas({"rope_type", "type", "rope_theta"}));
    return std::nullopt;
  }
  if (type != "yarn") return rope.Unsupported(type_field, "only default and yarn are supported");
  VALLM_RETURN_IF_ERROR(
      rope.OnlyHas({"rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings",
                    "beta_fast", "beta_slow", "attention_factor", "truncate"}));
  YarnScaling yarn;
  VALLM_ASSIGN_OR_RETURN(yarn.factor, rope.Number("factor", 1, 1e6));
  VALLM_ASSIGN_OR_RETURN(
      yarn.original_max_position,
      rope.NumberOr("original_max_position_embeddings", 1, 1e9, config.max_position_embeddings));
  VALLM_ASSIGN_OR_RETURN(yarn.beta_fast, rope.NumberOr("beta_fast", 1e-6, 1e6, 32));
  VALLM_ASSIGN_OR_RETURN(yarn.beta_slow, rope.NumberOr("beta_slow", 1e-6, 1e6, 1));
  const double standard = 0.1 * std::log(yarn.factor) + 1;
  VALLM_ASSIGN_OR_RETURN(yarn.attention_factor,
                         rope.NumberOr("attention_factor", 1e-6, 1e6, standard));
  VALLM_ASSIGN_OR_RETURN(yarn.truncate, rope.BoolOr("truncate", true));
  return yarn;
}

absl::Status ParseRope(const JsonFields& config, ModelConfig& out) {
  const json* scaling = config.Find("rope_scaling");
  const json* parameters = config.Find("rope_parameters");
  if (scaling != nullptr && parameters != nullptr && *scaling != *parameters) {
    return config.Invalid("rope_scaling", "differs from rope_parameters; give one of them");
  }
  const char* name = parameters != nullptr ? "rope_parameters" : "rope_scaling";
  const json* object = config.Find(name);
  if (object != nullptr && !object->is_object()) return config.Invalid(name, "want an object");
  const json none = json::object();
  const JsonFields rope(object != nullptr ? *object : none, absl::StrCat("config.json ", name));
  const JsonFields& theta_home = rope.Find("rope_theta") != nullptr ? rope : config;
  VALLM_ASSIGN_OR_RETURN(out.rope_theta, theta_home.Number("rope_theta", 1.001, 1e12));
  if (object != nullptr) {
    VALLM_ASSIGN_OR_RETURN(out.yarn, ParseRopeScaling(rope, out));
  }
  return absl::OkStatus();
}

absl::Status ParseSpecialTokens(const JsonFields& config, const JsonFields& generation,
                                ModelConfig& out) {
  VALLM_ASSIGN_OR_RETURN(out.eos_token_ids, generation.Ints("eos_token_id", 0, kMaxTokenId));
  if (out.eos_token_ids.empty()) {
    VALLM_ASSIGN_OR_RETURN(out.eos_token_ids, config.Ints("eos_token_id", 0, kMaxTokenId));
  }
  if (config.Find("bos_token_id") != nullptr) {
    VALLM_ASSIGN_OR_RETURN(out.bos_token_id, config.Int("bos_token_id", 0, kMaxTokenId));
  }
  return absl::OkStatus();
}

absl::Status ParseSamplingDefaults(const JsonFields& generation, SamplingDefaults& out) {
  const auto read = [&](const char* name, double min, double max,
                        std::optional<double>& field) -> absl::Status {
    if (generation.Find(name) == nullptr) return absl::OkStatus();
    VALLM_ASSIGN_OR_RETURN(field, generation.Number(name, min, max));
    return absl::OkStatus();
  };
  if (generation.Find("do_sample") != nullptr) {
    VALLM_ASSIGN_OR_RETURN(out.do_sample, generation.BoolOr("do_sample", false));
  }
  VALLM_RETURN_IF_ERROR(read("temperature", 0, 100, out.temperature));
  VALLM_RETURN_IF_ERROR(read("top_p", 0, 1, out.top_p));
  VALLM_RETURN_IF_ERROR(read("min_p", 0, 1, out.min_p));
  VALLM_RETURN_IF_ERROR(read("repetition_penalty", 1e-3, 1e3, out.repetition_penalty));
  if (generation.Find("top_k") != nullptr) {
    VALLM_ASSIGN_OR_RETURN(out.top_k, generation.Int("top_k", -1, kMaxTokenId));
  }
  return absl::OkStatus();
}

// NOT_FOUND if there is no such file.
absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

}  // namespace

bool ModelConfig::IsSparseLayer(int32_t layer) const {
  if (!moe.has_value()) return false;
  const std::vector<int32_t>& dense = moe->dense_layers;
  if (std::find(dense.begin(), dense.end(), layer) != dense.end()) return false;
  return (layer + 1) % moe->sparse_step == 0;
}

absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view config_json,
                                             std::string_view generation_json) {
  VALLM_ASSIGN_OR_RETURN(const json config_object, ParseJsonObject(config_json, "config.json"));
  json generation_object = json::object();
  if (!generation_json.empty()) {
    VALLM_ASSIGN_OR_RETURN(generation_object,
                           ParseJsonObject(generation_json, "generation_config.json"));
  }
  const JsonFields config(config_object, "config.json");
  const JsonFields generation(generation_object, "generation_config.json");
  ModelConfig out;
  VALLM_RETURN_IF_ERROR(ParseArchitecture(config, out));
  VALLM_RETURN_IF_ERROR(RefuseUnsupported(config));
  VALLM_RETURN_IF_ERROR(ParseDType(config, out));
  VALLM_RETURN_IF_ERROR(ParseDimensions(config, out));
  VALLM_RETURN_IF_ERROR(ParseMoe(config, out));
  VALLM_RETURN_IF_ERROR(ParseQuantization(config, out));
  VALLM_RETURN_IF_ERROR(ParseRope(config, out));
  VALLM_RETURN_IF_ERROR(ParseSpecialTokens(config, generation, out));
  VALLM_RETURN_IF_ERROR(ParseSamplingDefaults(generation, out.sampling));
  return out;
}

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& model_dir) {
  VALLM_ASSIGN_OR_RETURN(const std::string config, ReadFile(model_dir + "/config.json"));
  const absl::StatusOr<std::string> generation = ReadFile(model_dir + "/generation_config.json");
  return ParseModelConfig(config, generation.ok() ? *generation : std::string());
}

absl::Status OverrideRopeScaling(std::string_view rope_scaling_json, ModelConfig& config) {
  if (rope_scaling_json == "null") {
    config.yarn.reset();
    return absl::OkStatus();
  }
  VALLM_ASSIGN_OR_RETURN(const json object, ParseJsonObject(rope_scaling_json, "rope scaling"));
  const JsonFields rope(object, "rope scaling");
  VALLM_ASSIGN_OR_RETURN(const double theta,
                         rope.NumberOr("rope_theta", 1.001, 1e12, config.rope_theta));
  VALLM_ASSIGN_OR_RETURN(config.yarn, ParseRopeScaling(rope, config));
  config.rope_theta = theta;
  return absl::OkStatus();
}

}  // namespace vallm::engine
