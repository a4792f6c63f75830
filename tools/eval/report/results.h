// The scores of a run, added up from its records: results.json, whose format docs/accuracy.md
// describes, and the tables that are made from it.
#ifndef VALLM_TOOLS_EVAL_REPORT_RESULTS_H_
#define VALLM_TOOLS_EVAL_REPORT_RESULTS_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/eval/compare/significance.h"
#include "tools/eval/config/eval_config.h"
#include "tools/eval/run/runner.h"

namespace vallm::eval {

struct MetricResult {
  std::string name;
  double score = 0;  // mean of all values
  int64_t num = 0;   // of values
};

struct SubsetResult {
  std::string name;
  int64_t num = 0;                    // answers that were judged
  std::vector<MetricResult> metrics;  // the first decides
};

struct DatasetResult {
  std::string name;
  std::string pretty_name;
  int64_t num = 0;
  int64_t failed = 0;     // questions without an answer
  int64_t truncated = 0;  // answers that were cut off by max_tokens
  int64_t tolerated = 0;  // right only because units or words around them were left out
  std::vector<MetricResult> metrics;
  std::vector<SubsetResult> subsets;
  Interval interval;  // 95 %, of the first metric
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  double mean_latency_s = 0;

  double score() const { return metrics.empty() ? 0 : metrics[0].score; }
};

struct Results {
  std::string model;  // model_id of the configuration, else model
  std::string api_url;
  absl::Time finished;
  double seconds = 0;  // of this run; recorded answers took none of it
  std::vector<DatasetResult> datasets;
  std::string config;  // the configuration's text, without the API key
};

DatasetResult Summarize(const DatasetRun& run);
nlohmann::ordered_json ResultsToJson(const Results& results);

// The guide's table: Model, Dataset, Subset_Num, Sample_Num, Score; with the 95 % interval.
std::string SummaryTable(const Results& results);
// A row per subset and metric.
std::string DetailTable(const Results& results);

// `config` with the value of api_key left out.
std::string WithoutApiKey(const std::string& config);

// At most `bytes` bytes of `text` for a line of a report, cut between characters.
std::string Beginning(std::string_view text, size_t bytes);

// Cells in columns; the first row is the header.
std::string TextTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_REPORT_RESULTS_H_
