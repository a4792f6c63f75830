// What a checkpoint holds and how a tensor-parallel group cuts it, in lines for people: printed
// when an engine starts. Pure.
#ifndef VALLM_ENGINE_SERVICE_MODEL_SUMMARY_H_
#define VALLM_ENGINE_SERVICE_MODEL_SUMMARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "engine_service/model/checkpoint.h"
#include "engine_service/model/config.h"
#include "engine_service/model/sharding.h"

namespace vallm::engine {

// Tensors of one purpose.
struct TensorClass {
  std::string name;        // "embedding", "attention", "experts", …
  int64_t parameters = 0;  // of the model, whatever they are stored as
  int64_t bytes = 0;       // in the checkpoint, scales and zero points included
  std::string dtypes;      // of the matrices, e.g. "F8_E4M3 + BF16"
};

// Classes that the model has, in the order of a forward pass; last "unused", if the checkpoint has
// tensors that no layer asks for.
std::vector<TensorClass> TensorClasses(const ModelConfig& config, const Checkpoint& checkpoint);

// How the matrices of one kind are cut, against the blocks or groups that share a scale.
struct ShardCut {
  std::string matrices;  // "q_proj rows", "experts.down_proj columns", …
  int64_t width = 0;     // of the whole matrix in that direction
  int64_t shard = 0;     // of one rank
  int64_t block = 0;     // features that share a scale
  // Whether some rank's part begins or ends inside a block that is not the matrix's last.
  bool straddles = false;
};

// One entry for each cut of a quantised matrix; none where `size` is 1 or nothing is quantised.
// REQUIRES: MakeShard accepts `size`.
std::vector<ShardCut> ShardCuts(const ModelConfig& config, int32_t size);

// The lines: architecture and quantisation, the classes, the cuts.
std::vector<std::string> DescribeModel(const ModelConfig& config, const Checkpoint& checkpoint,
                                       int32_t tensor_parallel_size);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_SUMMARY_H_
