// What changed between two results of the same workload.
#ifndef VALLM_TOOLS_BENCH_COMPARISON_H_
#define VALLM_TOOLS_BENCH_COMPARISON_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json_fwd.hpp"
#include "tools/bench/bootstrap.h"

namespace vallm::tools {

// A result file, as far as a comparison needs it. vLLM's own files do as well.
struct ComparedResult {
  std::string file;
  std::string workload;  // what must agree: "c4 inf req/s, 20 prompts, 1024 in, 128 out"
  double num_prompts = 0;
  std::vector<std::pair<std::string, double>> figures;  // of the run, by key
  // Of each successful request; empty without --save-detailed.
  std::vector<double> input_lens;
  std::vector<double> ttfts_ms;
  std::vector<double> e2els_ms;
  std::vector<double> tpots_ms;  // -1: fewer than two tokens
  std::vector<double> itl_sums_ms;
  std::vector<double> itl_counts;

  bool detailed() const { return !ttfts_ms.empty(); }
};

// Errors: INVALID_ARGUMENT when `json` is no result.
absl::StatusOr<ComparedResult> ToComparedResult(const std::string& file,
                                                const nlohmann::ordered_json& json);

struct ComparedFigure {
  std::string name;  // "Mean TTFT (ms)"
  double a = 0;      // the mean over the runs
  double b = 0;
  bool higher_is_better = false;
  std::optional<Interval> interval;  // of b / a - 1
  std::string note;                  // why there is none, or what it is worth

  double difference() const { return a == 0 ? 0 : b / a - 1; }
  // Whether the interval leaves out 0, and on which side.
  bool better() const;
  bool worse() const;
};

struct Comparison {
  std::string workload;
  std::string basis;  // what the intervals come from
  std::vector<ComparedFigure> figures;
};

// Compares runs of one workload: `a` and `b` have one or more. Where both have two at least, every
// interval is Welch's over the runs. Else latencies have one from resampled requests, where these
// were saved, and throughputs have none.
// REQUIRES: neither is empty.
Comparison Compare(const std::vector<ComparedResult>& a, const std::vector<ComparedResult>& b,
                   const BootstrapOptions& options);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_COMPARISON_H_
