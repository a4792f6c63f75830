#include "engine_service/worker/mock_runner.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "engine_service/device/device.h"

namespace vallm::engine {
namespace {

// exp(-kCertain / temperature) is nothing beside 1 for every temperature that makes sense.
constexpr float kCertain = 1000;

// Mixes all bits of a 64-bit number (the finaliser of SplitMix64).
uint64_t Mix(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
  return bits ^ (bits >> 31);
}

}  // namespace

MockRunner::MockRunner(const MockRunnerOptions& options)
    : options_(options), slots_(static_cast<size_t>(options.num_kv_blocks * kKvBlockSize)) {}

void MockRunner::RunChunk(const Step& step, const SequenceChunk& chunk, std::span<float>& logits) {
  const auto slot = [&](int32_t position) -> uint64_t& {
    const auto block = static_cast<size_t>(chunk.block_begin + position / kKvBlockSize);
    return slots_[static_cast<size_t>(int64_t{step.block_ids[block]} * kKvBlockSize +
                                      position % kKvBlockSize)];
  };
  const auto vocab = static_cast<size_t>(options_.vocab_size);
  const auto rank = static_cast<size_t>(options_.shard.rank);
  const auto ranks = static_cast<size_t>(options_.shard.size);
  const size_t begin = vocab * rank / ranks, end = vocab * (rank + 1) / ranks;
  uint64_t hash = chunk.start_position == 0 ? 0 : slot(chunk.start_position - 1);
  for (int32_t i = 0; i < chunk.token_count; ++i) {
    const int32_t id = step.token_ids[static_cast<size_t>(chunk.token_begin + i)];
    hash = Mix(hash + 0x9E3779B97F4A7C15u * (static_cast<uint64_t>(id) + 1));
    slot(chunk.start_position + i) = hash;
    if (i < chunk.token_count - chunk.logit_count) continue;
    const size_t next = Mix(hash) % std::max<size_t>(vocab / 2, 1);
    // Rows come at the same places in every step: only what changes is written, as the engine would
    // have to fetch the rest from this core again.
    const auto [row, is_new] = certain_.try_emplace(logits.data(), begin);
    if (is_new) {
      std::fill(logits.begin() + static_cast<ptrdiff_t>(begin),
                logits.begin() + static_cast<ptrdiff_t>(end), 0.0f);
    } else if (row->second < end) {
      logits[row->second] = 0;
    }
    if (next >= begin && next < end) logits[next] = kCertain;
    row->second = next >= begin && next < end ? next : end;
    logits = logits.subspan(vocab);
  }
}

absl::Status MockRunner::Run(const Step& step, Collective& /*collective*/,
                             std::span<float> logits) {
  const absl::Time done = absl::Now() + options_.step_time +
                          options_.token_time * static_cast<double>(step.token_ids.size());
  for (const SequenceChunk& chunk : step.chunks) RunChunk(step, chunk, logits);
  absl::SleepFor(done - absl::Now());
  return absl::OkStatus();
}

}  // namespace vallm::engine
