#include "tools/make_model/config_files.h"

#include <nlohmann/json.hpp>

#include "tools/make_model/tensors.h"

namespace vallm::tools {
namespace {

using nlohmann::json;  // keys in alphabetical order, as transformers writes them

constexpr char kTransformersVersion[] = "4.51.0";

json QuantizationConfig(const Architecture& a) {
  switch (a.format) {
    case WeightFormat::kFp8:
      return {{"activation_scheme", "dynamic"},
              {"fmt", "e4m3"},
              {"modules_to_not_convert", UnquantizedModules(a)},
              {"quant_method", "fp8"},
              {"weight_block_size", {128, 128}}};
    case WeightFormat::kAwq:
      return {{"backend", "autoawq"},
              {"bits", 4},
              {"do_fuse", false},
              {"exllama_config", nullptr},
              {"fuse_max_seq_len", nullptr},
              {"group_size", 128},
              {"modules_to_fuse", nullptr},
              {"modules_to_not_convert", a.moe() ? json{"mlp.gate"} : json(nullptr)},
              {"quant_method", "awq"},
              {"version", "gemm"},
              {"zero_point", true}};
    default:
      return {{"bits", a.format == WeightFormat::kGptqInt4 ? 4 : 8},
              {"checkpoint_format", "gptq"},
              {"desc_act", false},
              {"group_size", 128},
              {"lm_head", false},
              {"pack_dtype", "int32"},
              {"quant_method", "gptq"},
              {"sym", true}};
  }
}

}  // namespace

std::string ConfigJson(const Architecture& a, const SpecialTokenIds& tokens) {
  const bool integers = a.format != WeightFormat::kBf16 && a.format != WeightFormat::kFp8;
  json config = {{"architectures", {a.moe() ? "Qwen3MoeForCausalLM" : "Qwen3ForCausalLM"}},
                 {"attention_bias", false},
                 {"attention_dropout", 0.0},
                 {"bos_token_id", tokens.end_of_text},
                 {"eos_token_id", tokens.end_of_turn},
                 {"head_dim", a.head_dim},
                 {"hidden_act", "silu"},
                 {"hidden_size", a.hidden_size},
                 {"initializer_range", 0.02},
                 {"intermediate_size", a.intermediate_size},
                 {"max_position_embeddings", a.max_position_embeddings},
                 {"max_window_layers", a.num_layers},
                 {"model_type", a.moe() ? "qwen3_moe" : "qwen3"},
                 {"num_attention_heads", a.num_heads},
                 {"num_hidden_layers", a.num_layers},
                 {"num_key_value_heads", a.num_kv_heads},
                 {"rms_norm_eps", 1e-6},
                 {"rope_scaling", nullptr},
                 {"rope_theta", static_cast<int64_t>(a.rope_theta)},
                 {"sliding_window", nullptr},
                 {"tie_word_embeddings", a.tie_word_embeddings},
                 {"torch_dtype", integers ? "float16" : "bfloat16"},
                 {"transformers_version", kTransformersVersion},
                 {"use_cache", true},
                 {"use_sliding_window", false},
                 {"vocab_size", a.vocab_size}};
  if (a.moe()) {
    config.update({{"decoder_sparse_step", 1},
                   {"mlp_only_layers", json::array()},
                   {"moe_intermediate_size", a.moe_intermediate_size},
                   {"norm_topk_prob", true},
                   {"num_experts", a.num_experts},
                   {"num_experts_per_tok", a.experts_per_token},
                   {"output_router_logits", false},
                   {"router_aux_loss_coef", 0.001}});
  }
  if (a.format != WeightFormat::kBf16) config["quantization_config"] = QuantizationConfig(a);
  return config.dump(2) + "\n";
}

std::string GenerationConfigJson(const Architecture& a, const SpecialTokenIds& tokens) {
  json config = {{"bos_token_id", tokens.end_of_text},
                 {"do_sample", true},
                 {"eos_token_id", {tokens.end_of_turn, tokens.end_of_text}},
                 {"pad_token_id", tokens.end_of_text},
                 {"temperature", a.sampling.temperature},
                 {"top_k", a.sampling.top_k},
                 {"top_p", a.sampling.top_p},
                 {"transformers_version", kTransformersVersion}};
  if (a.sampling.repetition_penalty != 1) {
    config["repetition_penalty"] = a.sampling.repetition_penalty;
  }
  return config.dump(2) + "\n";
}

}  // namespace vallm::tools
