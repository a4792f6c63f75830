// Sends prompts to a server on a schedule and records what comes back.
#ifndef VALLM_TOOLS_BENCH_BENCH_RUN_H_
#define VALLM_TOOLS_BENCH_BENCH_RUN_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tools/bench/bench_prompt.h"
#include "tools/bench/request_body.h"
#include "tools/bench/request_record.h"
#include "tools/load_client/load_run.h"

namespace vallm::tools {

struct BenchTarget {
  ServerAddress server;
  TlsCheck tls;
  std::string path;  // "/v1/completions"
  std::vector<std::pair<std::string, std::string>> headers;
  RequestOptions request;
};

// How far a run is.
struct BenchProgress {
  double elapsed_s = 0;
  int64_t requests = 0;
  int64_t ended = 0;  // failures included
  int64_t failed = 0;
  int64_t running = 0;
  int64_t chunks = 0;  // so far: about the tokens
};

struct BenchTraffic {
  LoadSchedule schedule;  // one for each prompt
  // Latencies count from when a request was due, so that a client that cannot send in time (all
  // places taken) does not hide it; else from when it was sent.
  bool latency_from_due = false;
};

struct BenchOutcome {
  std::vector<RequestRecord> records;  // one for each prompt, in order
  double duration_s = 0;               // until the last answer ended
  double client_cpu_s = 0;             // processor time of this process meanwhile
  bool interrupted = false;
};

// Runs all prompts to their end. `tokenizer` may be null; it counts the tokens of answers whose
// server does not. `progress` (may be null) is called ten times a second. When `stop` becomes true
// the run is broken off. Errors: those of RunLoad; failed requests are records.
absl::StatusOr<BenchOutcome> RunBench(const BenchTarget& target,
                                      const std::vector<BenchPrompt>& prompts,
                                      const BenchTraffic& traffic,
                                      const tokenizer::Tokenizer* tokenizer,
                                      const std::function<void(const BenchProgress&)>& progress,
                                      const std::atomic<bool>& stop);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_BENCH_RUN_H_
