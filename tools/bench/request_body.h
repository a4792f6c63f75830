// The JSON that is sent for a prompt.
#ifndef VALLM_TOOLS_BENCH_REQUEST_BODY_H_
#define VALLM_TOOLS_BENCH_REQUEST_BODY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "tools/bench/bench_prompt.h"

namespace vallm::tools {

struct RequestOptions {
  bool chat = false;       // chat completions, else completions
  std::string model = "";  // the name that the server knows
  bool ignore_eos = false;
  // Sent where they are given.
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int> top_k;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<double> presence_penalty;
  std::optional<double> frequency_penalty;
  std::optional<int> logprobs;
  std::string extra_body = "";  // a JSON object whose members are added, or replace; empty: none
};

// Errors: INVALID_ARGUMENT when extra_body is not a JSON object.
absl::Status CheckRequestOptions(const RequestOptions& options);

// A streamed request with usage. REQUIRES: CheckRequestOptions was OK.
std::string RequestBody(const RequestOptions& options, const BenchPrompt& prompt);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_REQUEST_BODY_H_
