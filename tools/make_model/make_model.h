// Makes a model directory with random weights.
#ifndef VALLM_TOOLS_MAKE_MODEL_MAKE_MODEL_H_
#define VALLM_TOOLS_MAKE_MODEL_MAKE_MODEL_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/make_model/architecture.h"

namespace vallm::tools {

struct MakeModelOptions {
  std::string out_dir;
  Architecture architecture;
  uint64_t seed = 0;
  std::string tokenizer_from = {};  // a model directory; empty: make a tokenizer
  double max_shard_gb = 4;
  int threads = 1;
  bool force = false;  // replace a model that is there
  std::function<void(int64_t done_bytes, int64_t total_bytes)> progress = nullptr;
};

struct MadeModel {
  int64_t weight_bytes = 0;
  int64_t parameters = 0;  // scales and zero points of quantised weights not counted
  int64_t files = 0;       // of weights
};

// Errors: INVALID_ARGUMENT (dimensions that make no model), ALREADY_EXISTS (the directory is not
// empty), RESOURCE_EXHAUSTED (not enough space), and those of the files.
absl::StatusOr<MadeModel> MakeModel(const MakeModelOptions& options);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_MAKE_MODEL_MAKE_MODEL_H_
