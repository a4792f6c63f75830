// Compares two runs question by question.
#ifndef VALLM_TOOLS_EVAL_COMPARE_COMPARE_RUNS_H_
#define VALLM_TOOLS_EVAL_COMPARE_COMPARE_RUNS_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/eval/compare/significance.h"
#include "tools/eval/run/record.h"

namespace vallm::eval {

// A question whose score differs between the runs.
struct ChangedQuestion {
  std::string subset;
  std::string id;
  double score_a = 0, score_b = 0;
  std::string extracted_a, extracted_b, target;
};

struct DatasetComparison {
  std::string dataset;
  std::string metric;
  int64_t n = 0;                         // questions that both runs answered
  int64_t only_in_a = 0, only_in_b = 0;  // questions of one run alone: left out
  double score_a = 0, score_b = 0;       // over the common questions
  int64_t better_a = 0, better_b = 0;    // questions that scored higher in one
  Interval interval;                     // 95 %, of score_b - score_a
  double p = 1;           // McNemar's exact test, or sign flips for scores in between
  double p_adjusted = 1;  // by Holm, over the data sets compared
  std::string test;
  int64_t same_output = 0;  // questions with the same answer, letter for letter
  std::vector<ChangedQuestion> changed;

  bool significant() const { return p_adjusted < 0.05; }
};

// `a` and `b` are folders of runs (their work_dir). Data sets that both have are compared.
// Errors: NOT_FOUND when a folder holds no run, or nothing is in both.
absl::StatusOr<std::vector<DatasetComparison>> CompareRuns(const std::string& a,
                                                           const std::string& b);

// Repetitions of a question count as one, with their mean.
DatasetComparison CompareRecords(const std::string& dataset, const std::vector<Record>& a,
                                 const std::vector<Record>& b);

std::string ComparisonTable(const std::vector<DatasetComparison>& comparisons);
nlohmann::ordered_json ComparisonToJson(const std::vector<DatasetComparison>& comparisons);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_COMPARE_COMPARE_RUNS_H_
