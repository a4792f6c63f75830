#include "engine_service/model/qwen3_weights.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

// Rows of a [rows, cols] matrix, all of its columns.
MatrixSpec RowsOf(std::string module, int64_t rows, int64_t cols, Range range) {
  return {std::move(module), rows, cols, range, {0, cols}};
}

// Columns of a [rows, cols] matrix, all of its rows.
MatrixSpec ColumnsOf(std::string module, int64_t rows, int64_t cols, Range range) {
  return {std::move(module), rows, cols, {0, rows}, range};
}

absl::Status LoadAttention(const ModelConfig& config, const Shard& shard, const std::string& prefix,
                           WeightLoader& loader, Qwen3Layer& layer) {
  const int64_t hidden = config.hidden_size;
  const int64_t q_width = int64_t{config.num_heads} * config.head_dim;
  const int64_t kv_width = int64_t{config.num_kv_heads} * config.head_dim;
  const std::string attention = prefix + "self_attn.";
  VALLM_ASSIGN_OR_RETURN(
      layer.qkv, loader.Matrix({RowsOf(attention + "q_proj", q_width, hidden, shard.q_rows),
                                RowsOf(attention + "k_proj", kv_width, hidden, shard.kv_rows),
                                RowsOf(attention + "v_proj", kv_width, hidden, shard.kv_rows)},
                               /*k_groups=*/1));
  VALLM_ASSIGN_OR_RETURN(
      layer.o, loader.Matrix({ColumnsOf(attention + "o_proj", hidden, q_width, shard.q_rows)},
                             shard.k_groups));
  VALLM_ASSIGN_OR_RETURN(layer.q_norm, loader.Vector(attention + "q_norm.weight", config.head_dim));
  VALLM_ASSIGN_OR_RETURN(layer.k_norm, loader.Vector(attention + "k_norm.weight", config.head_dim));
  return absl::OkStatus();
}

// gate, up and down of the MLP `module` with the given whole width.
WeightLoader::ExpertSpec Mlp(const std::string& module, int64_t hidden, int64_t width,
                             Range range) {
  return {RowsOf(module + ".gate_proj", width, hidden, range),
          RowsOf(module + ".up_proj", width, hidden, range),
          ColumnsOf(module + ".down_proj", hidden, width, range)};
}

absl::Status LoadMoe(const ModelConfig& config, const Shard& shard, const std::string& mlp,
                     WeightLoader& loader, Qwen3Layer& layer) {
  const MoeConfig& moe = *config.moe;
  VALLM_ASSIGN_OR_RETURN(layer.router,
                         loader.Matrix({RowsOf(mlp + ".gate", moe.num_experts, config.hidden_size,
                                               {0, moe.num_experts})},
                                       /*k_groups=*/1));
  std::vector<WeightLoader::ExpertSpec> experts;
  for (int32_t e = 0; e < moe.num_experts; ++e) {
    experts.push_back(Mlp(absl::StrCat(mlp, ".experts.", e), config.hidden_size,
                          moe.intermediate_size, shard.moe_rows));
  }
  VALLM_ASSIGN_OR_RETURN(layer.experts, loader.Experts(experts, shard.k_groups));
  return absl::OkStatus();
}

absl::Status LoadDense(const ModelConfig& config, const Shard& shard, const std::string& mlp,
                       WeightLoader& loader, Qwen3Layer& layer) {
  const WeightLoader::ExpertSpec spec =
      Mlp(mlp, config.hidden_size, config.intermediate_size, shard.dense_rows);
  VALLM_ASSIGN_OR_RETURN(layer.gate_up, loader.Matrix({spec.gate, spec.up}, /*k_groups=*/1));
  VALLM_ASSIGN_OR_RETURN(layer.down, loader.Matrix({spec.down}, shard.k_groups));
  return absl::OkStatus();
}

absl::StatusOr<Qwen3Layer> LoadLayer(const ModelConfig& config, const Shard& shard, int32_t index,
                                     WeightLoader& loader) {
  const std::string prefix = absl::StrCat("model.layers.", index, ".");
  Qwen3Layer layer;
  VALLM_ASSIGN_OR_RETURN(layer.input_norm,
                         loader.Vector(prefix + "input_layernorm.weight", config.hidden_size));
  VALLM_RETURN_IF_ERROR(LoadAttention(config, shard, prefix, loader, layer));
  VALLM_ASSIGN_OR_RETURN(
      layer.post_attention_norm,
      loader.Vector(prefix + "post_attention_layernorm.weight", config.hidden_size));
  const auto load_mlp = config.IsSparseLayer(index) ? LoadMoe : LoadDense;
  VALLM_RETURN_IF_ERROR(load_mlp(config, shard, prefix + "mlp", loader, layer));
  return layer;
}

}  // namespace

absl::StatusOr<Qwen3Weights> LoadQwen3Weights(const ModelConfig& config, const Shard& shard,
                                              const Checkpoint& checkpoint, Device& device,
                                              const WeightLoader::Progress& progress) {
  WeightLoader loader(checkpoint, config, device, progress);
  Qwen3Weights weights;
  VALLM_ASSIGN_OR_RETURN(
      WeightLoader::LoadedTable embedding,
      loader.Table("model.embed_tokens.weight", config.vocab_size, config.hidden_size,
                   /*keep_pages=*/config.tie_word_embeddings));
  weights.embedding = std::move(embedding.values);
  weights.embedding_type = embedding.type;
  for (int32_t i = 0; i < config.num_layers; ++i) {
    VALLM_ASSIGN_OR_RETURN(Qwen3Layer layer, LoadLayer(config, shard, i, loader));
    weights.layers.push_back(std::move(layer));
  }
  VALLM_ASSIGN_OR_RETURN(weights.final_norm,
                         loader.Vector("model.norm.weight", config.hidden_size));
  const char* head = config.tie_word_embeddings ? "model.embed_tokens" : "lm_head";
  VALLM_ASSIGN_OR_RETURN(
      weights.lm_head,
      loader.Matrix({RowsOf(head, config.vocab_size, config.hidden_size, shard.vocab)},
                    /*k_groups=*/1));
  // Tensors that no layer asked for count as done as well.
  if (progress) progress(checkpoint.total_bytes(), checkpoint.total_bytes());
  return weights;
}

}  // namespace vallm::engine
