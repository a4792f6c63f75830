// Writes the safetensors files of a checkpoint, and their index if there is more than one.
#ifndef VALLM_TOOLS_MAKE_MODEL_CHECKPOINT_WRITER_H_
#define VALLM_TOOLS_MAKE_MODEL_CHECKPOINT_WRITER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/make_model/tensors.h"

namespace vallm::tools {

// One file of a checkpoint and what is in it.
struct CheckpointFile {
  std::string name;
  std::vector<TensorSpec> tensors;  // in the order of their data
  int64_t bytes = 0;                // of the data, without the header
};

// Cuts `tensors` into files of at most `max_file_bytes` of data (a larger tensor gets a file of its
// own), named as transformers names them.
std::vector<CheckpointFile> CutIntoFiles(std::vector<TensorSpec> tensors, int64_t max_file_bytes);

// The text of model.safetensors.index.json.
std::string IndexJson(const std::vector<CheckpointFile>& files);

struct WriteOptions {
  uint64_t seed = 0;
  int threads = 1;
  // Called from any thread, one call at a time; may be null.
  std::function<void(int64_t done_bytes, int64_t total_bytes)> progress;
};

// Writes `files` into `dir`. The bytes depend on the seed and the tensors alone. Errors:
// PERMISSION_DENIED and the like when a file cannot be written, RESOURCE_EXHAUSTED when the disk is
// full; what has been written stays.
absl::Status WriteCheckpoint(const std::string& dir, const std::vector<CheckpointFile>& files,
                             const WriteOptions& options);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_MAKE_MODEL_CHECKPOINT_WRITER_H_
