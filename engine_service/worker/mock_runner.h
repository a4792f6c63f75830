// A runner without weights, for measuring and testing everything around the model (--device mock).
//
// It keeps what a KV cache is for and nothing else: every slot holds a hash of all tokens up to its
// position, computed from the slot before it. The token that follows is a function of that hash,
// and so of all tokens so far and of nothing else, as long as every slot that is read holds what it
// should: a scheduler that shares or reuses a wrong block shows in the tokens. The logits give that
// token all the probability there is, at any temperature; it lies in the lower half of the
// vocabulary, away from the special tokens at its end. Every rank computes the same and writes its
// own columns.
#ifndef VALLM_ENGINE_SERVICE_WORKER_MOCK_RUNNER_H_
#define VALLM_ENGINE_SERVICE_WORKER_MOCK_RUNNER_H_

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine_service/model/sharding.h"
#include "engine_service/worker/step_runner.h"

namespace vallm::engine {

struct MockRunnerOptions {
  int64_t vocab_size = 0;
  int64_t num_kv_blocks = 0;
  ShardSpec shard;
  // A step takes step_time and token_time for each of its tokens, or what it takes anyhow.
  absl::Duration step_time = absl::ZeroDuration();
  absl::Duration token_time = absl::ZeroDuration();
};

class MockRunner final : public StepRunner {
 public:
  static constexpr int64_t kBytesPerPosition = sizeof(uint64_t);

  explicit MockRunner(const MockRunnerOptions& options);

  int64_t vocab_size() const override { return options_.vocab_size; }
  // Errors: none. `collective` is not used. What is in `logits` must be left alone between steps.
  absl::Status Run(const Step& step, Collective& collective, std::span<float> logits) override;

 private:
  void RunChunk(const Step& step, const SequenceChunk& chunk, std::span<float>& logits);

  const MockRunnerOptions options_;
  std::vector<uint64_t> slots_;  // [num_kv_blocks * kKvBlockSize]
  // The column that is not zero, by where a row is; the end of the own columns: none is.
  std::unordered_map<const float*, size_t> certain_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_WORKER_MOCK_RUNNER_H_
