// A few requests after a deployment, one after the other, as the vendor's --enable-benchmark sends
// them: whether answers come at all, and how fast.
#ifndef VALLM_TOOLS_DEPLOY_SMOKE_BENCHMARK_H_
#define VALLM_TOOLS_DEPLOY_SMOKE_BENCHMARK_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vallm::tools {

struct SmokeBenchmarkOptions {
  std::string origin;  // "http://127.0.0.1:8000"
  std::string api_key;
  std::string model;
  int count = 5;
  int max_tokens = 1024;
  std::function<void(const std::string&)> say;  // a line per request
};

struct SmokeBenchmarkResult {
  absl::Duration mean_first_token;
  double tokens_per_second = 0;  // of one request, after its first token
  int64_t completion_tokens = 0;
};

// Errors: of the first request that fails, with the server's message.
absl::StatusOr<SmokeBenchmarkResult> RunSmokeBenchmark(const SmokeBenchmarkOptions& options);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_SMOKE_BENCHMARK_H_
