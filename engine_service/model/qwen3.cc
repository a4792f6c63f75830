#include "engine_service/model/qwen3.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {

// Device memory of one step's activations, f32 unless said otherwise.
struct Qwen3Model::Workspace {
  std::unique_ptr<Buffer> hidden;          // [tokens, hidden] the residual stream
  std::unique_ptr<Buffer> normed;          // [tokens, hidden]
  std::unique_ptr<Buffer> update;          // [tokens, hidden] what a block adds to the stream
  std::unique_ptr<Buffer> cos_sin;         // [tokens, head_dim]
  std::unique_ptr<Buffer> qkv;             // [tokens, heads.row_width()]
  std::unique_ptr<Buffer> attended;        // [tokens, q_heads * head_dim]
  std::unique_ptr<Buffer> gate_up;         // [tokens, 2 * dense_rows]
  std::unique_ptr<Buffer> gated;           // [tokens, dense_rows]
  std::unique_ptr<Buffer> router_logits;   // [tokens, experts]
  std::unique_ptr<Buffer> expert_ids;      // [tokens, experts_per_token] int32
  std::unique_ptr<Buffer> expert_weights;  // [tokens, experts_per_token]
  std::unique_ptr<Buffer> last_hidden;     // [logit rows, hidden]
  std::unique_ptr<Buffer> logits;          // [logit rows, vocab of this rank]
};

// A step as the device wants it.
struct Qwen3Model::Inputs {
  int64_t rows = 0;
  std::vector<int32_t> slots;  // [rows] where each token's key and value go
  std::vector<AttentionChunk> chunks;
  std::span<const int32_t> block_ids;
  std::vector<int32_t> logit_rows;  // rows that want logits
  std::vector<float> cos_sin;       // [rows, head_dim]
};

namespace {

void CheckChunk(const SequenceChunk& chunk, const Step& step, int64_t expected_begin,
                int64_t num_blocks) {
  CHECK_EQ(chunk.token_begin, expected_begin) << "chunks must follow one another";
  CHECK_GE(chunk.token_count, 1);
  CHECK_GE(chunk.start_position, 0);
  CHECK_GE(chunk.logit_count, 0);
  CHECK_LE(chunk.logit_count, chunk.token_count);
  CHECK_GE(chunk.block_begin, 0);
  CHECK_LE(int64_t{chunk.block_begin} + chunk.block_count,
           static_cast<int64_t>(step.block_ids.size()));
  CHECK_GE(int64_t{chunk.block_count} * kKvBlockSize,
           int64_t{chunk.start_position} + chunk.token_count)
      << "block table is too short";
  for (const int32_t block : step.block_ids.subspan(chunk.block_begin, chunk.block_count)) {
    CHECK(block >= 0 && block < num_blocks) << "no such kv block: " << block;
  }
}

}  // namespace

Qwen3Model::Qwen3Model(const ModelConfig& config, const Shard& shard, StepLimits limits,
                       Device& device)
    : config_(config),
      shard_(shard),
      limits_(limits),
      device_(device),
      rope_(config),
      work_(std::make_unique<Workspace>()) {}

Qwen3Model::~Qwen3Model() = default;

absl::StatusOr<std::unique_ptr<Qwen3Model>> Qwen3Model::Load(const ModelConfig& config,
                                                             const Checkpoint& checkpoint,
                                                             ShardSpec spec, StepLimits limits,
                                                             Device& device,
                                                             const LoadProgress& progress) {
  if (limits.max_tokens < 1 || limits.max_tokens > INT32_MAX || limits.max_logit_rows < 1) {
    return absl::InvalidArgumentError(absl::StrCat("step limits of ", limits.max_tokens,
                                                   " tokens and ", limits.max_logit_rows,
                                                   " logit rows; want at least 1 of each"));
  }
  VALLM_ASSIGN_OR_RETURN(const Shard shard, MakeShard(config, spec));
  std::unique_ptr<Qwen3Model> model(new Qwen3Model(config, shard, limits, device));
  VALLM_ASSIGN_OR_RETURN(model->weights_,
                         LoadQwen3Weights(config, shard, checkpoint, device, progress));

  const auto allocate = [&](std::unique_ptr<Buffer>& buffer, int64_t rows,
                            int64_t width) -> absl::Status {
    static_assert(sizeof(float) == sizeof(int32_t));
    VALLM_ASSIGN_OR_RETURN(buffer, device.Allocate(rows * width * int64_t{sizeof(float)}));
    return absl::OkStatus();
  };
  Workspace& work = *model->work_;
  const int64_t tokens = limits.max_tokens;
  const int64_t q_width = shard.q_rows.size();
  VALLM_RETURN_IF_ERROR(allocate(work.hidden, tokens, config.hidden_size));
  VALLM_RETURN_IF_ERROR(allocate(work.normed, tokens, config.hidden_size));
  VALLM_RETURN_IF_ERROR(allocate(work.update, tokens, config.hidden_size));
  VALLM_RETURN_IF_ERROR(allocate(work.cos_sin, tokens, config.head_dim));
  VALLM_RETURN_IF_ERROR(allocate(work.qkv, tokens, shard.heads.row_width()));
  VALLM_RETURN_IF_ERROR(allocate(work.attended, tokens, q_width));
  VALLM_RETURN_IF_ERROR(allocate(work.gate_up, tokens, 2 * shard.dense_rows.size()));
  VALLM_RETURN_IF_ERROR(allocate(work.gated, tokens, shard.dense_rows.size()));
  if (config.moe.has_value()) {
    const MoeConfig& moe = *config.moe;
    VALLM_RETURN_IF_ERROR(allocate(work.router_logits, tokens, moe.num_experts));
    VALLM_RETURN_IF_ERROR(allocate(work.expert_ids, tokens, moe.experts_per_token));
    VALLM_RETURN_IF_ERROR(allocate(work.expert_weights, tokens, moe.experts_per_token));
  }
  VALLM_RETURN_IF_ERROR(allocate(work.last_hidden, limits.max_logit_rows, config.hidden_size));
  VALLM_RETURN_IF_ERROR(allocate(work.logits, limits.max_logit_rows, shard.vocab.size()));
  return model;
}

absl::Status Qwen3Model::Forward(const Step& step, KvCache& cache, Collective& collective,
                                 std::span<float> logits) {
  Inputs in;
  in.rows = static_cast<int64_t>(step.token_ids.size());
  CHECK_LE(in.rows, limits_.max_tokens);
  CHECK_LE(LogitRows(step), limits_.max_logit_rows);
  CHECK_EQ(static_cast<int64_t>(logits.size()), LogitRows(step) * shard_.vocab.size());
  CHECK_EQ(collective.rank(), shard_.spec.rank);
  CHECK_EQ(collective.size(), shard_.spec.size);
  for (const int32_t id : step.token_ids) CHECK(id >= 0 && id < config_.vocab_size) << id;
  in.block_ids = step.block_ids;
  in.cos_sin.resize(in.rows * config_.head_dim);
  int64_t row = 0;
  for (const SequenceChunk& chunk : step.chunks) {
    CheckChunk(chunk, step, row, cache.num_blocks());
    in.chunks.push_back(
        {chunk.token_begin, chunk.token_count, chunk.start_position, chunk.block_begin});
    for (int32_t i = 0; i < chunk.token_count; ++i, ++row) {
      const int32_t position = chunk.start_position + i;
      const int32_t block = step.block_ids[chunk.block_begin + position / kKvBlockSize];
      in.slots.push_back(block * kKvBlockSize + position % kKvBlockSize);
      rope_.CosSin(position,
                   std::span(in.cos_sin).subspan(row * config_.head_dim, config_.head_dim));
      if (i >= chunk.token_count - chunk.logit_count) {
        in.logit_rows.push_back(static_cast<int32_t>(row));
      }
    }
  }
  CHECK_EQ(row, in.rows) << "chunks must cover the step's tokens";

  VALLM_RETURN_IF_ERROR(device_.Upload(std::as_bytes(std::span(in.cos_sin)), *work_->cos_sin));
  VALLM_RETURN_IF_ERROR(device_.Embed(*weights_.embedding, weights_.embedding_type, step.token_ids,
                                      config_.hidden_size, *work_->hidden));
  for (int32_t layer = 0; layer < config_.num_layers; ++layer) {
    VALLM_RETURN_IF_ERROR(Attend(in, layer, cache, collective));
    VALLM_RETURN_IF_ERROR(FeedForward(in, layer, collective));
  }
  return Head(in, logits);
}

// hidden += o_proj(attention(rope(norm(q)), rope(norm(k)), v)) of the normed stream.
absl::Status Qwen3Model::Attend(const Inputs& in, int32_t index, KvCache& cache,
                                Collective& collective) {
  const Qwen3Layer& layer = weights_.layers[index];
  const HeadLayout& heads = shard_.heads;
  const float eps = config_.rms_norm_eps;
  Workspace& w = *work_;
  VALLM_RETURN_IF_ERROR(
      device_.RmsNorm(*w.hidden, *layer.input_norm, eps, in.rows, config_.hidden_size, *w.normed));
  VALLM_RETURN_IF_ERROR(device_.MatMul(*w.normed, in.rows, *layer.qkv, *w.qkv));
  VALLM_RETURN_IF_ERROR(
      device_.NormRopeHeads(*w.qkv, in.rows, heads, *layer.q_norm, *layer.k_norm, eps, *w.cos_sin));
  VALLM_RETURN_IF_ERROR(
      device_.StoreKv(*w.qkv, heads, cache.type(), in.slots, cache.k(index), cache.v(index)));
  VALLM_RETURN_IF_ERROR(device_.Attention(*w.qkv, heads, cache.type(), in.chunks, in.block_ids,
                                          cache.k(index), cache.v(index), *w.attended));
  VALLM_RETURN_IF_ERROR(device_.MatMul(*w.attended, in.rows, *layer.o, *w.update));
  VALLM_RETURN_IF_ERROR(device_.AllReduceSum(*w.update, in.rows * config_.hidden_size, collective));
  return device_.Add(*w.hidden, *w.update, in.rows, config_.hidden_size);
}

// hidden += down(silu(gate) * up) of the normed stream, or the same over each token's experts.
absl::Status Qwen3Model::FeedForward(const Inputs& in, int32_t index, Collective& collective) {
  const Qwen3Layer& layer = weights_.layers[index];
  Workspace& w = *work_;
  VALLM_RETURN_IF_ERROR(device_.RmsNorm(*w.hidden, *layer.post_attention_norm, config_.rms_norm_eps,
                                        in.rows, config_.hidden_size, *w.normed));
  if (layer.experts != nullptr) {
    const MoeConfig& moe = *config_.moe;
    VALLM_RETURN_IF_ERROR(device_.MatMul(*w.normed, in.rows, *layer.router, *w.router_logits));
    VALLM_RETURN_IF_ERROR(device_.MoeRoute(*w.router_logits, in.rows, moe.num_experts,
                                           moe.experts_per_token, moe.norm_topk_prob, *w.expert_ids,
                                           *w.expert_weights));
    VALLM_RETURN_IF_ERROR(device_.MoeExperts(*w.normed, in.rows, *w.expert_ids, *w.expert_weights,
                                             moe.experts_per_token, *layer.experts, *w.update));
  } else {
    VALLM_RETURN_IF_ERROR(device_.MatMul(*w.normed, in.rows, *layer.gate_up, *w.gate_up));
    VALLM_RETURN_IF_ERROR(device_.SiluMul(*w.gate_up, in.rows, shard_.dense_rows.size(), *w.gated));
    VALLM_RETURN_IF_ERROR(device_.MatMul(*w.gated, in.rows, *layer.down, *w.update));
  }
  VALLM_RETURN_IF_ERROR(device_.AllReduceSum(*w.update, in.rows * config_.hidden_size, collective));
  return device_.Add(*w.hidden, *w.update, in.rows, config_.hidden_size);
}

absl::Status Qwen3Model::Head(const Inputs& in, std::span<float> logits) {
  const int64_t rows = static_cast<int64_t>(in.logit_rows.size());
  if (rows == 0) return absl::OkStatus();
  Workspace& w = *work_;
  VALLM_RETURN_IF_ERROR(
      device_.GatherRows(*w.hidden, in.logit_rows, config_.hidden_size, *w.last_hidden));
  VALLM_RETURN_IF_ERROR(device_.RmsNorm(*w.last_hidden, *weights_.final_norm, config_.rms_norm_eps,
                                        rows, config_.hidden_size, *w.last_hidden));
  VALLM_RETURN_IF_ERROR(device_.MatMul(*w.last_hidden, rows, *weights_.lm_head, *w.logits));
  return device_.Download(*w.logits, std::as_writable_bytes(logits));
}

}  // namespace vallm::engine
