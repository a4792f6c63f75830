// A whole model in one process: every rank of a tensor-parallel group on a thread and a CPU device
// of its own, with KV blocks handed out to sequences in a scrambled order.
#ifndef VALLM_TESTS_TESTING_MODEL_GROUP_H_
#define VALLM_TESTS_TESTING_MODEL_GROUP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/device/cpu/cpu_device.h"
#include "engine_service/model/qwen3.h"
#include "tests/testing/thread_collective.h"

namespace vallm::testing {

struct ModelGroupOptions {
  int tensor_parallel_size = 1;
  int threads = 1;                                // per rank
  std::optional<engine::Isa> isa = std::nullopt;  // empty: the best
  int64_t max_tokens = 640;
  int64_t num_blocks = 512;
  engine::KvType kv_type = engine::KvType::kF32;
};

class ModelGroup {
 public:
  static absl::StatusOr<std::unique_ptr<ModelGroup>> Load(const std::string& model_dir,
                                                          const ModelGroupOptions& options);

  const engine::ModelConfig& config() const { return ranks_[0].model->config(); }

  // A new sequence with room for `max_tokens`; blocks are never given back.
  int NewSequence(int max_tokens);

  struct Chunk {
    int sequence;
    std::vector<int32_t> tokens;
    int logit_count;
  };
  // Runs the chunks as one step, each at the end of its sequence. One row of vocab_size logits for
  // every token that wants them.
  std::vector<std::vector<float>> Step(const std::vector<Chunk>& chunks);

  // Feeds `tokens` in chunks of at most `chunk_size` and returns the logits of the last token.
  std::vector<float> Feed(int sequence, const std::vector<int32_t>& tokens, int chunk_size);
  // The same into a sequence of its own.
  std::vector<float> LastLogits(const std::vector<int32_t>& tokens, int chunk_size = 1 << 20);

 private:
  struct Rank {
    std::unique_ptr<engine::Device> device;
    std::unique_ptr<engine::Qwen3Model> model;
    std::unique_ptr<engine::KvCache> cache;
    std::unique_ptr<ThreadCollective> collective;
  };
  struct Sequence {
    int length = 0;
    std::vector<int32_t> blocks;
  };
  explicit ModelGroup(int size) : group_(size) {}

  ThreadGroup group_;
  std::vector<Rank> ranks_;
  std::vector<Sequence> sequences_;
  std::vector<int32_t> free_blocks_;
  int64_t max_tokens_ = 0;
};

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_MODEL_GROUP_H_
