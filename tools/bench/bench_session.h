// A server to measure, and what all measurements on it share: its address, the model's name, the
// tokenizer, how results are described.
#ifndef VALLM_TOOLS_BENCH_BENCH_SESSION_H_
#define VALLM_TOOLS_BENCH_BENCH_SESSION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tools/bench/bench_flags.h"
#include "tools/bench/bench_run.h"
#include "tools/bench/dataset.h"
#include "tools/bench/metrics.h"
#include "tools/bench/result_json.h"
#include "tools/bench/traffic.h"

namespace vallm::tools {

// One measurement.
struct BenchJob {
  DatasetOptions dataset;
  int64_t num_prompts = 1000;
  uint64_t seed = 0;  // of prompts and arrivals
  TrafficOptions traffic;
  // In an open loop latencies count from when a request was due, unless this is set.
  bool latency_from_sent = false;
  bool detailed = false;
  std::string label;   // in front of the progress bar
  bool quiet = false;  // print nothing but the progress bar
};

struct BenchResult {
  RunDescription run;
  BenchOutcome outcome;
  BenchMetrics metrics;
  std::vector<std::string> warnings;  // what makes the figures doubtful, a line each
};

class BenchSession {
 public:
  // Checks the flags, waits for the server as they say, loads the tokenizer.
  // Errors: INVALID_ARGUMENT naming the flag; UNAVAILABLE when the server does not answer.
  static absl::StatusOr<std::unique_ptr<BenchSession>> Open(const BenchFlags& flags);

  // Makes the prompts, sends one as a test, then measures. Prints what it does, unless
  // the job is quiet.
  // Errors: those of MakePrompts; FAILED_PRECONDITION when the test fails.
  absl::StatusOr<BenchResult> Run(const BenchJob& job, const std::atomic<bool>& stop) const;

  const MetricOptions& metric_options() const { return metric_options_; }
  // What requests say beside their prompt.
  const RequestOptions& request() const { return target_.request; }
  int64_t max_model_len() const { return max_model_len_; }  // 0: the server did not say

 private:
  explicit BenchSession(const BenchFlags& flags) : flags_(flags) {}

  absl::Status ReadResultFlags();
  absl::Status Connect();
  absl::Status AskForModels();
  absl::Status LoadTokenizer();
  absl::Status TestRun(const BenchPrompt& prompt, const std::atomic<bool>& stop) const;

  const BenchFlags flags_;
  BenchTarget target_;
  MetricOptions metric_options_;
  std::vector<std::string> percentile_metrics_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::string tokenizer_id_;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  int64_t max_model_len_ = 0;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_BENCH_SESSION_H_
