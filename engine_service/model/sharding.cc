#include "engine_service/model/sharding.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"

namespace vallm::engine {
namespace {

// Part `rank` of `size` equal parts of [0, total).
Range Part(int64_t total, int32_t rank, int32_t size) {
  return {total * rank / size, total * (rank + 1) / size};
}

absl::Status CheckGroups(const char* what, int64_t width, int32_t size) {
  if (width % kReductionGroups != 0) {
    return absl::InvalidArgumentError(absl::StrCat(what, " is ", width,
                                                   "; it must be a multiple of ", kReductionGroups,
                                                   " (the fixed number of reduction groups)"));
  }
  if (width % size != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, " is ", width, ", which tensor parallel size ", size, " does not divide"));
  }
  return absl::OkStatus();
}

absl::Status Check(const ModelConfig& config, ShardSpec spec) {
  if (spec.size < 1 || spec.size > kMaxTensorParallelSize ||
      !std::has_single_bit<uint32_t>(spec.size)) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor parallel size is ", spec.size, "; it must be 1, 2, 4, 8 or 16"));
  }
  if (spec.rank < 0 || spec.rank >= spec.size) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank is ", spec.rank, "; the group has ", spec.size, " ranks"));
  }
  if (config.num_heads % spec.size != 0) {
    return absl::InvalidArgumentError(absl::StrCat("the model has ", config.num_heads,
                                                   " attention heads, which tensor parallel size ",
                                                   spec.size, " does not divide"));
  }
  const int32_t kv_heads = config.num_kv_heads;
  if (kv_heads % spec.size != 0 && spec.size % kv_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the model has ", kv_heads, " key/value heads, which tensor parallel size ",
                     spec.size, " can neither divide nor replicate evenly"));
  }
  const absl::Status heads = CheckGroups("attention output width (heads x head_dim)",
                                         int64_t{config.num_heads} * config.head_dim, spec.size);
  if (!heads.ok()) return heads;
  bool has_dense_layer = false;
  for (int32_t i = 0; i < config.num_layers; ++i) has_dense_layer |= !config.IsSparseLayer(i);
  if (has_dense_layer) {
    const absl::Status dense =
        CheckGroups("intermediate_size", config.intermediate_size, spec.size);
    if (!dense.ok()) return dense;
  }
  if (!config.moe.has_value()) return absl::OkStatus();
  return CheckGroups("moe_intermediate_size", config.moe->intermediate_size, spec.size);
}

}  // namespace

absl::StatusOr<Shard> MakeShard(const ModelConfig& config, ShardSpec spec) {
  const absl::Status valid = Check(config, spec);
  if (!valid.ok()) return valid;
  Shard shard;
  shard.spec = spec;
  shard.k_groups = std::max(kReductionGroups / spec.size, 1);
  const Range q_heads = Part(config.num_heads, spec.rank, spec.size);
  Range kv_heads = Part(config.num_kv_heads, spec.rank, spec.size);
  if (kv_heads.size() == 0) kv_heads.end = kv_heads.begin + 1;  // several ranks share this head
  shard.heads = {.q_heads = static_cast<int32_t>(q_heads.size()),
                 .kv_heads = static_cast<int32_t>(kv_heads.size()),
                 .head_dim = config.head_dim};
  shard.q_rows = {q_heads.begin * config.head_dim, q_heads.end * config.head_dim};
  shard.kv_rows = {kv_heads.begin * config.head_dim, kv_heads.end * config.head_dim};
  shard.dense_rows = Part(config.intermediate_size, spec.rank, spec.size);
  if (config.moe.has_value()) {
    shard.moe_rows = Part(config.moe->intermediate_size, spec.rank, spec.size);
  }
  shard.vocab = Part(config.vocab_size, spec.rank, spec.size);
  return shard;
}

}  // namespace vallm::engine
