#include "engine_service/model/summary.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace vallm::engine {
namespace {

enum Class { kEmbedding, kAttention, kMlp, kRouter, kExperts, kNorms, kHead, kUnused, kClasses };
constexpr std::array<const char*, kClasses> kNames = {"embedding", "attention", "mlp",  "router",
                                                      "experts",   "norms",     "head", "unused"};

// The layer that a tensor belongs to, or -1.
int32_t LayerOf(absl::string_view name) {
  constexpr absl::string_view kPrefix = "model.layers.";
  if (!absl::ConsumePrefix(&name, kPrefix)) return -1;
  int32_t layer = -1;
  const size_t dot = name.find('.');
  if (dot == name.npos || !absl::SimpleAtoi(name.substr(0, dot), &layer)) return -1;
  return layer;
}

Class ClassOf(const ModelConfig& config, absl::string_view name) {
  if (name == "model.norm.weight") return kNorms;
  if (absl::StartsWith(name, "model.embed_tokens.")) return kEmbedding;
  if (absl::StartsWith(name, "lm_head.")) return config.tie_word_embeddings ? kUnused : kHead;
  const int32_t layer = LayerOf(name);
  if (layer < 0 || layer >= config.num_layers) return kUnused;
  if (absl::StrContains(name, "norm.")) return kNorms;
  if (absl::StrContains(name, ".self_attn.")) return kAttention;
  if (!absl::StrContains(name, ".mlp.")) return kUnused;
  if (!config.IsSparseLayer(layer)) return kMlp;
  return absl::StrContains(name, ".mlp.experts.") ? kExperts : kRouter;
}

std::array<int64_t, kClasses> Parameters(const ModelConfig& config) {
  const int64_t hidden = config.hidden_size, head = config.head_dim;
  std::array<int64_t, kClasses> count = {};
  count[kEmbedding] = hidden * config.vocab_size;
  if (!config.tie_word_embeddings) count[kHead] = hidden * config.vocab_size;
  count[kNorms] = hidden;
  for (int32_t layer = 0; layer < config.num_layers; ++layer) {
    count[kAttention] += 2 * hidden * head * (config.num_heads + config.num_kv_heads);
    count[kNorms] += 2 * hidden + 2 * head;
    if (config.IsSparseLayer(layer)) {
      count[kRouter] += hidden * config.moe->num_experts;
      count[kExperts] += 3 * hidden * config.moe->intermediate_size * config.moe->num_experts;
    } else {
      count[kMlp] += 3 * hidden * config.intermediate_size;
    }
  }
  return count;
}

// Scales and what else comes with quantised weights is not what a class is stored as.
bool HoldsWeights(absl::string_view name) {
  return absl::EndsWith(name, ".weight") || absl::EndsWith(name, ".qweight");
}

std::string DTypeOf(const ModelConfig& config, absl::string_view name, DType dtype) {
  if (absl::EndsWith(name, ".qweight") && config.integer.has_value()) {
    return absl::StrCat("INT", config.integer->bits);
  }
  return std::string(DTypeName(dtype));
}

std::string Count(int64_t count) {
  if (count >= 1'000'000'000) return absl::StrFormat("%.2f G", count / 1e9);
  if (count >= 1'000'000) return absl::StrFormat("%.1f M", count / 1e6);
  return absl::StrFormat("%.1f k", count / 1e3);
}

std::string MebiBytes(int64_t bytes) { return absl::StrFormat("%.1f MiB", bytes / 1048576.0); }

std::string Quantization(const ModelConfig& config) {
  if (config.fp8.has_value()) {
    return absl::StrCat("FP8 in blocks of ", config.fp8->block_rows, "x", config.fp8->block_cols);
  }
  if (!config.integer.has_value()) return "not quantised";
  const IntegerConfig& integer = *config.integer;
  const std::string groups =
      integer.group_size > 0 ? absl::StrCat("groups of ", integer.group_size) : "one group a row";
  return absl::StrCat(integer.format == IntegerFormat::kAwq      ? "AWQ"
                      : integer.format == IntegerFormat::kGptqV2 ? "GPTQ v2"
                                                                 : "GPTQ",
                      " of ", integer.bits, " bits in ", groups);
}

std::string Architecture(const ModelConfig& config) {
  std::string text = absl::StrCat(config.architecture, ": ", config.num_layers, " layers, hidden ",
                                  config.hidden_size, ", ", config.num_heads, " query and ",
                                  config.num_kv_heads, " KV heads of ", config.head_dim);
  if (config.moe.has_value()) {
    absl::StrAppend(&text, ", ", config.moe->num_experts, " experts of ",
                    config.moe->intermediate_size, ", ", config.moe->experts_per_token, " a token");
  }
  absl::StrAppend(&text, ", vocabulary ", config.vocab_size,
                  config.tie_word_embeddings ? ", tied head; " : "; ", Quantization(config));
  if (config.yarn.has_value()) {
    absl::StrAppend(&text, absl::StrFormat("; YaRN factor %g over %g positions, attention factor "
                                           "%.4f",
                                           config.yarn->factor, config.yarn->original_max_position,
                                           config.yarn->attention_factor));
  }
  return text;
}

}  // namespace

std::vector<TensorClass> TensorClasses(const ModelConfig& config, const Checkpoint& checkpoint) {
  const std::array<int64_t, kClasses> parameters = Parameters(config);
  std::array<int64_t, kClasses> bytes = {};
  std::array<std::set<std::string>, kClasses> dtypes;
  checkpoint.ForEach([&](const std::string& name, const TensorView& view) {
    const Class c = ClassOf(config, name);
    bytes[c] += static_cast<int64_t>(view.data.size());
    if (HoldsWeights(name)) dtypes[c].insert(DTypeOf(config, name, view.dtype));
  });
  std::vector<TensorClass> classes;
  for (int c = 0; c < kClasses; ++c) {
    if (parameters[c] == 0 && bytes[c] == 0) continue;
    classes.push_back({kNames[c], parameters[c], bytes[c], absl::StrJoin(dtypes[c], " + ")});
  }
  return classes;
}

std::vector<ShardCut> ShardCuts(const ModelConfig& config, int32_t size) {
  std::vector<ShardCut> cuts;
  if (size == 1 || (!config.fp8.has_value() && !config.integer.has_value())) return cuts;
  // A row of integers has scales of its own.
  const int64_t block_rows = config.fp8.has_value() ? config.fp8->block_rows : 1;
  const int64_t group = config.integer.has_value() ? config.integer->group_size : 0;
  const auto add = [&](const char* matrices, int64_t width, int64_t shard, int64_t block) {
    if (block == 0) block = width;  // one group
    bool straddles = false;
    for (int64_t edge = shard; edge < width; edge += shard) straddles |= edge % block != 0;
    cuts.push_back({matrices, width, shard, block, straddles});
  };
  const int64_t block_cols = config.fp8.has_value() ? config.fp8->block_cols : group;
  const int64_t q = int64_t{config.num_heads} * config.head_dim;
  const int64_t kv = int64_t{config.num_kv_heads} * config.head_dim;
  add("q_proj rows", q, q / size, block_rows);
  add("k_proj, v_proj rows", kv, std::max<int64_t>(kv / size, config.head_dim), block_rows);
  add("o_proj columns", q, q / size, block_cols);
  bool dense = false;
  for (int32_t layer = 0; layer < config.num_layers; ++layer) {
    dense |= !config.IsSparseLayer(layer);
  }
  if (dense) {
    const int64_t width = config.intermediate_size;
    add("mlp gate_proj, up_proj rows", width, width / size, block_rows);
    add("mlp down_proj columns", width, width / size, block_cols);
  }
  if (config.moe.has_value()) {
    const int64_t width = config.moe->intermediate_size;
    add("experts gate_proj, up_proj rows", width, width / size, block_rows);
    add("experts down_proj columns", width, width / size, block_cols);
  }
  return cuts;
}

std::vector<std::string> DescribeModel(const ModelConfig& config, const Checkpoint& checkpoint,
                                       int32_t tensor_parallel_size) {
  std::vector<std::string> lines = {Architecture(config)};
  int64_t parameters = 0, bytes = 0;
  for (const TensorClass& c : TensorClasses(config, checkpoint)) {
    lines.push_back(absl::StrFormat("  %-10s %8s parameters %12s  %s", c.name, Count(c.parameters),
                                    MebiBytes(c.bytes), c.dtypes));
    parameters += c.parameters;
    bytes += c.bytes;
  }
  lines.push_back(
      absl::StrFormat("  %-10s %8s parameters %12s", "all", Count(parameters), MebiBytes(bytes)));
  for (const ShardCut& cut : ShardCuts(config, tensor_parallel_size)) {
    lines.push_back(absl::StrFormat("  %s: %d of %d a rank, %s", cut.matrices, cut.shard, cut.width,
                                    cut.straddles ? absl::StrCat("cutting blocks of ", cut.block)
                                    : cut.block == 1
                                        ? "each with scales of its own"
                                        : absl::StrCat("whole blocks of ", cut.block)));
  }
  return lines;
}

}  // namespace vallm::engine
