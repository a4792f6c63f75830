#include "tools/eval/compare/compare_runs.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tools/eval/report/results.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

// What a run says of one question, all repetitions together.
struct Answered {
  double sum = 0;
  int64_t times = 0;
  std::string metric, extracted, target, output;

  double score() const { return sum / static_cast<double>(times); }
};
using Questions = std::map<std::pair<std::string, std::string>, Answered>;

Questions ByQuestion(const std::vector<Record>& records) {
  Questions questions;
  for (const Record& record : records) {
    if (!record.error.empty()) continue;
    Answered& answered = questions[{record.subset, record.id}];
    answered.sum += record.score();
    if (answered.times++ == 0) {
      answered.extracted = record.verdict.extracted;
      answered.target = record.target;
      if (!record.verdict.scores.empty()) answered.metric = record.verdict.scores[0].metric;
    }
    answered.output += record.reply.output.content + "\n";
  }
  return questions;
}

absl::StatusOr<std::set<std::string>> DatasetsOf(const std::string& run) {
  std::set<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run + "/records", error)) {
    if (entry.path().extension() == ".jsonl") names.insert(entry.path().stem().string());
  }
  if (names.empty()) {
    return absl::NotFoundError(
        absl::StrCat(run, " holds no run: no records/*.jsonl (give a run's work_dir)"));
  }
  return names;
}

bool IsBinary(double score) { return score == 0 || score == 1; }

}  // namespace

DatasetComparison CompareRecords(const std::string& dataset, const std::vector<Record>& a,
                                 const std::vector<Record>& b) {
  DatasetComparison comparison;
  comparison.dataset = dataset;
  const Questions in_a = ByQuestion(a);
  const Questions in_b = ByQuestion(b);
  std::vector<double> differences;
  bool binary = true;
  for (const auto& [key, first] : in_a) {
    const auto found = in_b.find(key);
    if (found == in_b.end()) {
      ++comparison.only_in_a;
      continue;
    }
    const Answered& second = found->second;
    comparison.metric = first.metric;
    ++comparison.n;
    comparison.score_a += first.score();
    comparison.score_b += second.score();
    comparison.same_output += first.output == second.output ? 1 : 0;
    const double difference = second.score() - first.score();
    binary = binary && IsBinary(first.score()) && IsBinary(second.score());
    differences.push_back(difference);
    comparison.better_a += difference < 0 ? 1 : 0;
    comparison.better_b += difference > 0 ? 1 : 0;
    if (difference != 0) {
      comparison.changed.push_back({.subset = key.first,
                                    .id = key.second,
                                    .score_a = first.score(),
                                    .score_b = second.score(),
                                    .extracted_a = first.extracted,
                                    .extracted_b = second.extracted,
                                    .target = first.target});
    }
  }
  comparison.only_in_b = static_cast<int64_t>(in_b.size()) - comparison.n;
  if (comparison.n > 0) {
    comparison.score_a /= static_cast<double>(comparison.n);
    comparison.score_b /= static_cast<double>(comparison.n);
  }
  comparison.interval = BootstrapMean(differences);
  comparison.test = binary ? "McNemar exact" : "sign flips";
  comparison.p =
      binary ? McNemarExact(comparison.better_a, comparison.better_b) : SignFlipTest(differences);
  comparison.p_adjusted = comparison.p;
  return comparison;
}

absl::StatusOr<std::vector<DatasetComparison>> CompareRuns(const std::string& a,
                                                           const std::string& b) {
  VALLM_ASSIGN_OR_RETURN(const std::set<std::string> names_a, DatasetsOf(a));
  VALLM_ASSIGN_OR_RETURN(const std::set<std::string> names_b, DatasetsOf(b));
  std::vector<DatasetComparison> comparisons;
  std::vector<double> p_values;
  for (const std::string& name : names_a) {
    if (names_b.count(name) == 0) continue;
    VALLM_ASSIGN_OR_RETURN(const auto records_a, LoadRecords(a + "/records/" + name + ".jsonl"));
    VALLM_ASSIGN_OR_RETURN(const auto records_b, LoadRecords(b + "/records/" + name + ".jsonl"));
    DatasetComparison comparison = CompareRecords(name, records_a, records_b);
    if (comparison.n == 0) continue;
    p_values.push_back(comparison.p);
    comparisons.push_back(std::move(comparison));
  }
  if (comparisons.empty()) {
    return absl::NotFoundError(absl::StrCat(a, " and ", b, " have no question in common"));
  }
  const std::vector<double> adjusted = HolmAdjusted(p_values);
  for (size_t i = 0; i < comparisons.size(); ++i) comparisons[i].p_adjusted = adjusted[i];
  return comparisons;
}

std::string ComparisonTable(const std::vector<DatasetComparison>& comparisons) {
  std::vector<std::vector<std::string>> rows = {{"Dataset", "n", "A", "B", "B - A", "95 % interval",
                                                 "better in A", "better in B", "p", "verdict"}};
  for (const DatasetComparison& c : comparisons) {
    rows.push_back(
        {c.dataset, absl::StrCat(c.n), absl::StrFormat("%.4f", c.score_a),
         absl::StrFormat("%.4f", c.score_b), absl::StrFormat("%+.4f", c.score_b - c.score_a),
         absl::StrFormat("%+.3f to %+.3f", c.interval.low, c.interval.high),
         absl::StrCat(c.better_a), absl::StrCat(c.better_b), absl::StrFormat("%.3g", c.p_adjusted),
         c.better_a + c.better_b == 0 ? "no difference"
         : !c.significant()           ? "noise"
         : c.score_b > c.score_a      ? "B is better"
                                      : "A is better"});
  }
  return TextTable(rows);
}

ordered_json ComparisonToJson(const std::vector<DatasetComparison>& comparisons) {
  ordered_json list = ordered_json::array();
  for (const DatasetComparison& c : comparisons) {
    ordered_json changed = ordered_json::array();
    for (const ChangedQuestion& question : c.changed) {
      changed.push_back({{"subset", question.subset},
                         {"id", question.id},
                         {"score_a", question.score_a},
                         {"score_b", question.score_b},
                         {"extracted_a", question.extracted_a},
                         {"extracted_b", question.extracted_b},
                         {"target", question.target}});
    }
    list.push_back({{"dataset", c.dataset},
                    {"metric", c.metric},
                    {"n", c.n},
                    {"only_in_a", c.only_in_a},
                    {"only_in_b", c.only_in_b},
                    {"score_a", c.score_a},
                    {"score_b", c.score_b},
                    {"difference", c.score_b - c.score_a},
                    {"interval", {c.interval.low, c.interval.high}},
                    {"better_a", c.better_a},
                    {"better_b", c.better_b},
                    {"same_output", c.same_output},
                    {"test", c.test},
                    {"p", c.p},
                    {"p_adjusted", c.p_adjusted},
                    {"significant", c.significant()},
                    {"changed", std::move(changed)}});
  }
  return {{"format", "vallm-eval-comparison/1"}, {"datasets", std::move(list)}};
}

}  // namespace vallm::eval
