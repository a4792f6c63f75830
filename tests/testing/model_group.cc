#include "tests/testing/model_group.h"

#include <glog/logging.h>

#include <algorithm>
#include <random>
#include <thread>

#include "common/status_macros.h"

namespace vallm::testing {

absl::StatusOr<std::unique_ptr<ModelGroup>> ModelGroup::Load(const std::string& model_dir,
                                                             const ModelGroupOptions& options) {
  VALLM_ASSIGN_OR_RETURN(const engine::ModelConfig config, engine::LoadModelConfig(model_dir));
  VALLM_ASSIGN_OR_RETURN(const auto checkpoint, engine::Checkpoint::Open(model_dir));
  const int size = options.tensor_parallel_size;
  std::unique_ptr<ModelGroup> group(new ModelGroup(size));
  group->max_tokens_ = options.max_tokens;
  for (int r = 0; r < size; ++r) {
    Rank rank;
    VALLM_ASSIGN_OR_RETURN(
        rank.device,
        engine::CreateCpuDevice({.threads = options.threads, .pin_to = {}, .isa = options.isa}));
    const engine::ShardSpec spec = {.rank = r, .size = size};
    const engine::StepLimits limits = {.max_tokens = options.max_tokens,
                                       .max_logit_rows = options.max_tokens};
    VALLM_ASSIGN_OR_RETURN(rank.model, engine::Qwen3Model::Load(config, *checkpoint, spec, limits,
                                                                *rank.device, nullptr));
    VALLM_ASSIGN_OR_RETURN(rank.cache,
                           engine::KvCache::Create(*rank.device, config, spec, options.num_blocks,
                                                   engine::kKvBlockSize, options.kv_type));
    rank.collective = std::make_unique<ThreadCollective>(group->group_, r);
    group->ranks_.push_back(std::move(rank));
  }
  for (int32_t b = 0; b < options.num_blocks; ++b) group->free_blocks_.push_back(b);
  std::shuffle(group->free_blocks_.begin(), group->free_blocks_.end(), std::mt19937(1));
  return group;
}

int ModelGroup::NewSequence(int max_tokens) {
  Sequence sequence;
  const size_t blocks = (max_tokens + engine::kKvBlockSize - 1) / engine::kKvBlockSize;
  CHECK_LE(blocks, free_blocks_.size()) << "the test needs more blocks";
  sequence.blocks.assign(free_blocks_.end() - blocks, free_blocks_.end());
  free_blocks_.resize(free_blocks_.size() - blocks);
  sequences_.push_back(std::move(sequence));
  return static_cast<int>(sequences_.size()) - 1;
}

std::vector<std::vector<float>> ModelGroup::Step(const std::vector<Chunk>& chunks) {
  std::vector<int32_t> tokens, block_ids;
  std::vector<engine::SequenceChunk> sequence_chunks;
  for (const Chunk& chunk : chunks) {
    Sequence& sequence = sequences_[chunk.sequence];
    const int32_t count = static_cast<int32_t>(chunk.tokens.size());
    const int32_t end = sequence.length + count;
    const int32_t blocks = (end + engine::kKvBlockSize - 1) / engine::kKvBlockSize;
    CHECK_LE(blocks, static_cast<int32_t>(sequence.blocks.size()));
    sequence_chunks.push_back({.token_begin = static_cast<int32_t>(tokens.size()),
                               .token_count = count,
                               .start_position = sequence.length,
                               .block_begin = static_cast<int32_t>(block_ids.size()),
                               .block_count = blocks,
                               .logit_count = chunk.logit_count});
    tokens.insert(tokens.end(), chunk.tokens.begin(), chunk.tokens.end());
    block_ids.insert(block_ids.end(), sequence.blocks.begin(), sequence.blocks.begin() + blocks);
    sequence.length = end;
  }
  const engine::Step step = {tokens, sequence_chunks, block_ids};
  const int64_t rows = engine::LogitRows(step);
  std::vector<std::vector<float>> logits(rows, std::vector<float>(config().vocab_size));
  std::vector<std::thread> threads;
  for (Rank& rank : ranks_) {
    threads.emplace_back([&] {
      const int64_t begin = rank.model->vocab_begin();
      const int64_t width = rank.model->vocab_end() - begin;
      std::vector<float> slice(rows * width);
      const absl::Status status = rank.model->Forward(step, *rank.cache, *rank.collective, slice);
      CHECK(status.ok()) << status;
      for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(slice.begin() + row * width, width, logits[row].begin() + begin);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return logits;
}

std::vector<float> ModelGroup::Feed(int sequence, const std::vector<int32_t>& tokens,
                                    int chunk_size) {
  std::vector<std::vector<float>> logits;
  const int size = static_cast<int>(std::min<int64_t>(chunk_size, max_tokens_));
  for (size_t begin = 0; begin < tokens.size(); begin += size) {
    const size_t end = std::min(begin + size, tokens.size());
    logits = Step({{sequence,
                    {tokens.begin() + begin, tokens.begin() + end},
                    /*logit_count=*/end == tokens.size() ? 1 : 0}});
  }
  return logits.at(0);
}

std::vector<float> ModelGroup::LastLogits(const std::vector<int32_t>& tokens, int chunk_size) {
  return Feed(NewSequence(static_cast<int>(tokens.size())), tokens, chunk_size);
}

}  // namespace vallm::testing
