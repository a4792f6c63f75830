#include "tools/eval/report/results.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "tools/eval/config/yaml_json.h"
#include "tools/eval/text/regex.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

// Means of metrics, in the order in which they came.
class Means {
 public:
  void Add(const std::vector<Score>& scores) {
    for (const Score& score : scores) {
      auto found = std::find_if(sums_.begin(), sums_.end(),
                                [&](const auto& sum) { return sum.name == score.metric; });
      if (found == sums_.end()) {
        sums_.push_back({.name = score.metric});
        found = sums_.end() - 1;
      }
      for (const double value : score.values) {
        found->score += value;
        ++found->num;
      }
    }
  }
  std::vector<MetricResult> Finish() const {
    std::vector<MetricResult> means = sums_;
    for (MetricResult& mean : means)
      mean.score /= static_cast<double>(std::max<int64_t>(mean.num, 1));
    return means;
  }

 private:
  std::vector<MetricResult> sums_;
};

// Characters that take two columns of a terminal.
size_t Width(const std::string& text) {
  size_t width = 0;
  for (const char32_t c : Characters(text)) width += c >= 0x1100 && c <= 0xFFFD ? 2 : 1;
  return width;
}

ordered_json MetricsToJson(const std::vector<MetricResult>& metrics) {
  ordered_json json = ordered_json::array();
  for (const MetricResult& metric : metrics) {
    json.push_back({{"name", metric.name}, {"score", metric.score}, {"num", metric.num}});
  }
  return json;
}

std::string Digits(double score) { return absl::StrFormat("%.4f", score); }

}  // namespace

DatasetResult Summarize(const DatasetRun& run) {
  DatasetResult result;
  result.name = run.name;
  result.pretty_name = run.name;
  for (const DatasetKind& kind : DatasetKinds()) {
    if (run.name == kind.name) result.pretty_name = kind.pretty_name;
  }
  Means all;
  std::vector<std::pair<std::string, Means>> subsets;
  std::map<std::string, int64_t> counts;
  // One score per question: repetitions of one question are no further questions.
  std::map<std::pair<std::string, std::string>, std::vector<double>> questions;
  for (const Record& record : run.records) {
    if (!record.error.empty()) {
      ++result.failed;
      continue;
    }
    if (subsets.empty() || subsets.back().first != record.subset) {
      subsets.emplace_back(record.subset, Means());
    }
    ++result.num;
    ++counts[record.subset];
    all.Add(record.verdict.scores);
    subsets.back().second.Add(record.verdict.scores);
    questions[{record.subset, record.id}].push_back(record.score());
    result.truncated += record.reply.finish_reason == "length" ? 1 : 0;
    result.tolerated += Contains(record.verdict.note, "units or words") ? 1 : 0;
    result.prompt_tokens += record.reply.prompt_tokens.value_or(0);
    result.completion_tokens += record.reply.completion_tokens.value_or(0);
    result.mean_latency_s += absl::ToDoubleSeconds(record.reply.latency);
  }
  result.mean_latency_s /= static_cast<double>(std::max<int64_t>(result.num, 1));
  result.metrics = all.Finish();
  for (const auto& [name, means] : subsets) {
    result.subsets.push_back({.name = name, .num = counts[name], .metrics = means.Finish()});
  }
  bool binary = true;
  std::vector<double> means;
  for (const auto& [question, values] : questions) {
    double sum = 0;
    for (const double value : values) sum += value;
    means.push_back(sum / static_cast<double>(values.size()));
    binary = binary && (means.back() == 0 || means.back() == 1);
  }
  result.interval = binary ? WilsonInterval(result.score(), static_cast<int64_t>(means.size()))
                           : BootstrapMean(means);
  return result;
}

namespace {

// The values of all members whose name ends so.
void CollectKeys(const ordered_json& value, std::vector<std::string>* keys) {
  for (const auto& [name, member] : value.items()) {
    if (member.is_structured()) CollectKeys(member, keys);
    if (value.is_object() && absl::EndsWith(name, "api_key") && member.is_string()) {
      keys->push_back(member.get<std::string>());
    }
  }
}

}  // namespace

std::string WithoutApiKey(const std::string& config) {
  // Where keys stand in lines of their own or within {}, whatever they are ...
  static const Regex& key = *new Regex(
      Regex::Of(R"((["']?\w*api_key["']?\s*:)[ \t]*("[^"\n]*"|'[^'\n]*'|[^\s,}][^,}\n]*))"));
  std::string hidden = key.Replace(
      config, [](const Regex::Match& match) { return std::string(match[1]) + " '***'"; });
  // ... and wherever else YAML lets them stand, such as the line after "api_key: >-".
  constexpr size_t kShortest = 4;  // shorter ones are part of words
  std::vector<std::string> keys;
  if (const auto json = YamlToJson(config); json.ok()) CollectKeys(*json, &keys);
  for (const std::string& value : keys) {
    if (value.size() >= kShortest) hidden = absl::StrReplaceAll(hidden, {{value, "***"}});
  }
  return hidden;
}

ordered_json ResultsToJson(const Results& results) {
  ordered_json datasets = ordered_json::array();
  for (const DatasetResult& dataset : results.datasets) {
    ordered_json subsets = ordered_json::array();
    for (const SubsetResult& subset : dataset.subsets) {
      subsets.push_back({{"name", subset.name},
                         {"num", subset.num},
                         {"score", subset.metrics.empty() ? 0 : subset.metrics[0].score},
                         {"metrics", MetricsToJson(subset.metrics)}});
    }
    datasets.push_back({{"name", dataset.name},
                        {"pretty_name", dataset.pretty_name},
                        {"metric", dataset.metrics.empty() ? "" : dataset.metrics[0].name},
                        {"score", dataset.score()},
                        {"interval", {dataset.interval.low, dataset.interval.high}},
                        {"subset_num", dataset.subsets.size()},
                        {"sample_num", dataset.num},
                        {"failed", dataset.failed},
                        {"truncated", dataset.truncated},
                        {"tolerated", dataset.tolerated},
                        {"prompt_tokens", dataset.prompt_tokens},
                        {"completion_tokens", dataset.completion_tokens},
                        {"mean_latency_s", dataset.mean_latency_s},
                        {"metrics", MetricsToJson(dataset.metrics)},
                        {"subsets", std::move(subsets)},
                        {"records", "records/" + dataset.name + ".jsonl"}});
  }
  return {{"format", "vallm-eval-results/1"},
          {"model", results.model},
          {"api_url", results.api_url},
          {"finished", absl::FormatTime(absl::RFC3339_sec, results.finished, absl::UTCTimeZone())},
          {"seconds", results.seconds},
          {"datasets", std::move(datasets)},
          {"config", results.config}};
}

std::string Beginning(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return std::string(text.substr(0, bytes));
}

std::string TextTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string line = "+";
  for (const size_t width : widths) absl::StrAppend(&line, std::string(width + 2, '-'), "+");
  std::string text = line + "\n";
  for (size_t r = 0; r < rows.size(); ++r) {
    text += "|";
    for (size_t i = 0; i < widths.size(); ++i) {
      const std::string cell = i < rows[r].size() ? rows[r][i] : "";
      absl::StrAppend(&text, " ", cell, std::string(widths[i] - Width(cell), ' '), " |");
    }
    text += "\n";
    if (r == 0) {
      std::string rule = line;
      std::replace(rule.begin(), rule.end(), '-', '=');
      text += rule + "\n";
    }
  }
  return text + line + "\n";
}

std::string SummaryTable(const Results& results) {
  std::vector<std::vector<std::string>> rows = {
      {"Model", "Dataset", "Subset_Num", "Sample_Num", "Score", "95 % interval"}};
  for (const DatasetResult& dataset : results.datasets) {
    rows.push_back({results.model, dataset.name, absl::StrCat(dataset.subsets.size()),
                    absl::StrCat(dataset.num), Digits(dataset.score()),
                    absl::StrFormat("%.3f - %.3f", dataset.interval.low, dataset.interval.high)});
  }
  return TextTable(rows);
}

std::string DetailTable(const Results& results) {
  std::vector<std::vector<std::string>> rows = {{"Dataset", "Subset", "Metric", "Num", "Score"}};
  for (const DatasetResult& dataset : results.datasets) {
    for (const SubsetResult& subset : dataset.subsets) {
      for (const MetricResult& metric : subset.metrics) {
        rows.push_back({dataset.name, subset.name, metric.name, absl::StrCat(metric.num),
                        Digits(metric.score)});
      }
    }
  }
  return TextTable(rows);
}

}  // namespace vallm::eval
