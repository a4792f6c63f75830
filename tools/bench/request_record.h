// What was seen of one request.
#ifndef VALLM_TOOLS_BENCH_REQUEST_RECORD_H_
#define VALLM_TOOLS_BENCH_REQUEST_RECORD_H_

#include <cstdint>
#include <string>
#include <vector>

namespace vallm::tools {

// Times are seconds; those called _s since the start of the run are `due_s` and `sent_s`.
struct RequestRecord {
  bool success = false;
  bool cancelled = false;      // the run was broken off: neither a success nor a failure
  std::string error;           // why it failed
  double due_s = 0;            // when the schedule wanted it sent
  double sent_s = 0;           // when it was
  double since_s = 0;          // what the latencies below count from: one of the two
  double ttft_s = 0;           // until the first chunk
  double latency_s = 0;        // until the last chunk
  std::vector<double> itls_s;  // between two chunks

  int64_t prompt_tokens = 0;  // as the client counted them; -1: not counted
  int64_t server_prompt_tokens =
      -1;                     // as the server did, chat template included; -1: it did not say
  int64_t output_tokens = 0;  // by the server's usage; by the tokenizer or chunks without one
  std::string text;           // of the answer, reasoning included
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_REQUEST_RECORD_H_
