#include "tools/bench/bench_command.h"

#include "tools/bench/compare_command.h"
#include "tools/bench/serve_command.h"
#include "tools/bench/sweep_command.h"
#include "tools/command.h"

namespace vallm::tools {

int RunBenchCommand(int argc, char** argv) {
  static constexpr Command kCommands[] = {
      {"serve", "measure a running server with one workload", RunBenchServe},
      {"sweep", "measure it with a matrix of workloads; can be interrupted", RunBenchSweep},
      {"compare", "the differences of two results, with confidence intervals", RunBenchCompare},
  };
  return Dispatch("vallm bench",
                  "Measures servers that speak OpenAI's API, with the flags, figures and files of "
                  "vLLM's benchmark_serving.py.",
                  kCommands, argc, argv);
}

}  // namespace vallm::tools
