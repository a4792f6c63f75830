// The flags that `vallm bench serve` and `sweep` have in common: which server, which model, what is
// sent and how results are described. Names and defaults are those of vLLM's benchmark_serving.py.
#ifndef VALLM_TOOLS_BENCH_BENCH_FLAGS_H_
#define VALLM_TOOLS_BENCH_BENCH_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/bench/request_body.h"

namespace vallm::tools {

struct BenchFlags {
  // Server.
  std::string base_url;  // empty: from host and port
  std::string host = "127.0.0.1";
  int port = 8000;
  std::string backend = "vllm";      // or openai, openai-chat
  std::string endpoint;              // empty: the backend's
  std::vector<std::string> headers;  // NAME=VALUE
  std::string ca_file;
  bool insecure = false;
  double ready_timeout_s = 0;
  // Model.
  std::string model;              // empty: the first that the server lists
  std::string served_model_name;  // empty: model
  std::string tokenizer;          // empty: model, where that is a folder
  // Requests.
  RequestOptions request;
  uint64_t seed = 0;
  bool skip_test_run = false;
  // Results.
  std::vector<std::string> metadata;  // KEY=VALUE
  std::string percentile_metrics = "ttft,tpot,itl";
  std::string metric_percentiles = "99";
  std::vector<std::string> goodput;  // KEY:VALUE
  bool disable_progress = false;

  bool chat() const { return backend == "openai-chat"; }
};

void AddBenchFlags(CLI::App& app, BenchFlags& flags);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_BENCH_FLAGS_H_
