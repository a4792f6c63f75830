#include "tools/bench/comparison.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "tools/bench/statistics.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;

struct RunFigure {
  const char* key;
  const char* name;
};
constexpr RunFigure kThroughputs[] = {
    {"request_throughput", "Request throughput (req/s)"},
    {"output_throughput", "Output token throughput (tok/s)"},
    {"total_token_throughput", "Total token throughput (tok/s)"},
};
// With few requests a high percentile is the largest value, whatever is resampled.
constexpr size_t kRequestsForP99 = 100;

double Number(const Json& json, const char* key) {
  return json.contains(key) && json[key].is_number() ? json[key].get<double>() : 0;
}

std::string Workload(const Json& json) {
  const double prompts = std::max(1.0, Number(json, "num_prompts"));
  const double completed = std::max(1.0, Number(json, "completed"));
  const std::string concurrency =
      Number(json, "max_concurrency") > 0
          ? absl::StrCat("concurrency ", Number(json, "max_concurrency"), ", ")
          : "";
  const std::string rate = json.contains("request_rate") && json["request_rate"].is_number()
                               ? absl::StrCat(Number(json, "request_rate"), " req/s, ")
                               : "";
  const double out = json.contains("requested_output_tokens")
                         ? Number(json, "requested_output_tokens") / prompts
                         : Number(json, "total_output_tokens") / completed;
  return absl::StrFormat("%s%s%.0f prompts of %.0f tokens, answers of %.0f", concurrency, rate,
                         prompts, Number(json, "total_input_tokens") / completed, out);
}

bool IsList(const Json& json, const char* key) {
  return json.contains(key) && json[key].is_array();
}

void TakeRequests(const Json& json, ComparedResult* result) {
  if (!IsList(json, "ttfts") || !IsList(json, "itls") || !IsList(json, "output_lens")) return;
  for (size_t i = 0; i < json["ttfts"].size(); ++i) {
    const bool failed = IsList(json, "errors") && i < json["errors"].size() &&
                        json["errors"][i].is_string() && json["errors"][i] != "";
    if (failed || i >= json["itls"].size() || i >= json["output_lens"].size() ||
        !json["ttfts"][i].is_number() || !json["output_lens"][i].is_number() ||
        !json["itls"][i].is_array()) {
      continue;
    }
    double gaps = 0;
    for (const Json& gap : json["itls"][i]) gaps += gap.is_number() ? gap.get<double>() * 1e3 : 0;
    const double ttft = json["ttfts"][i].get<double>() * 1e3;
    const double tokens = json["output_lens"][i].get<double>();
    result->ttfts_ms.push_back(ttft);
    result->e2els_ms.push_back(ttft + gaps);
    result->tpots_ms.push_back(tokens > 1 ? gaps / (tokens - 1) : -1);
    result->itl_sums_ms.push_back(gaps);
    result->itl_counts.push_back(static_cast<double>(json["itls"][i].size()));
    result->input_lens.push_back(IsList(json, "input_lens") && i < json["input_lens"].size() &&
                                         json["input_lens"][i].is_number()
                                     ? json["input_lens"][i].get<double>()
                                     : 0);
  }
}

using Values = std::vector<double> ComparedResult::*;

// The values of all runs, one behind the other.
std::vector<double> Joined(const std::vector<ComparedResult>& runs, Values values) {
  std::vector<double> all;
  for (const ComparedResult& run : runs) {
    all.insert(all.end(), (run.*values).begin(), (run.*values).end());
  }
  return all;
}

double MeanOf(const std::vector<double>& values, std::span<const size_t> requests) {
  double sum = 0;
  double count = 0;
  for (const size_t i : requests) {
    if (values[i] < 0) continue;
    sum += values[i];
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

double PercentileOf(const std::vector<double>& values, std::span<const size_t> requests,
                    double percent) {
  std::vector<double> chosen;
  for (const size_t i : requests) {
    if (values[i] >= 0) chosen.push_back(values[i]);
  }
  std::sort(chosen.begin(), chosen.end());
  return PercentileOfSorted(chosen, percent);
}

double RatioOf(const std::vector<double>& sums, const std::vector<double>& counts,
               std::span<const size_t> requests) {
  double sum = 0;
  double count = 0;
  for (const size_t i : requests) {
    sum += sums[i];
    count += counts[i];
  }
  return count > 0 ? sum / count : 0;
}

// The values of requests that a figure comes from, of one run or of several.
struct Requests {
  std::vector<double> values;
  std::vector<double> counts;  // of the mean ITL only
};

using Formula = double (*)(const Requests&, std::span<const size_t>);

double MeanValue(const Requests& r, std::span<const size_t> chosen) {
  return MeanOf(r.values, chosen);
}
double MedianValue(const Requests& r, std::span<const size_t> chosen) {
  return PercentileOf(r.values, chosen, 50);
}
double P99Value(const Requests& r, std::span<const size_t> chosen) {
  return PercentileOf(r.values, chosen, 99);
}
double MeanGap(const Requests& r, std::span<const size_t> chosen) {
  return RatioOf(r.values, r.counts, chosen);
}

class RequestFigures {
 public:
  RequestFigures(const std::vector<ComparedResult>& a, const std::vector<ComparedResult>& b,
                 const BootstrapOptions& options, std::vector<ComparedFigure>* figures)
      : a_(a), b_(b), options_(options), figures_(figures) {}

  void Add(const char* name, Values values) {
    const std::string label = absl::StrCat(name, " (ms)");
    AddFigure("Mean " + label, values, nullptr, MeanValue, "");
    AddFigure("Median " + label, values, nullptr, MedianValue, "");
    const size_t fewest = std::min((a_.front().*values).size(), (b_.front().*values).size());
    AddFigure("P99 " + label, values, nullptr, P99Value,
              fewest < kRequestsForP99
                  ? absl::StrCat("rough: fewer than ", kRequestsForP99, " requests")
                  : "");
  }

  // Whole requests are drawn: the gaps of one depend on each other.
  void AddItl() {
    AddFigure("Mean ITL (ms)", &ComparedResult::itl_sums_ms, &ComparedResult::itl_counts, MeanGap,
              "");
  }

 private:
  void AddFigure(const std::string& name, Values values, Values counts, Formula formula,
                 const std::string& note) {
    const std::vector<double> of_a = OfEachRun(a_, values, counts, formula);
    const std::vector<double> of_b = OfEachRun(b_, values, counts, formula);
    ComparedFigure figure = {.name = name,
                             .a = Mean(of_a),
                             .b = Mean(of_b),
                             .higher_is_better = false,
                             .interval = std::nullopt,
                             .note = note};
    if (figure.a != 0 && of_a.size() >= 2 && of_b.size() >= 2) {
      figure.interval = WelchRelativeDifference(of_a, of_b);
    } else if (figure.a != 0) {
      const Requests all_a = {Joined(a_, values), Counts(a_, counts)};
      const Requests all_b = {Joined(b_, values), Counts(b_, counts)};
      figure.interval = BootstrapRelativeDifference(
          [&](std::span<const size_t> r) { return formula(all_a, r); }, all_a.values.size(),
          [&](std::span<const size_t> r) { return formula(all_b, r); }, all_b.values.size(),
          options_);
    }
    figures_->push_back(std::move(figure));
  }

  static std::vector<double> Counts(const std::vector<ComparedResult>& runs, Values counts) {
    return counts == nullptr ? std::vector<double>() : Joined(runs, counts);
  }

  static std::vector<double> OfEachRun(const std::vector<ComparedResult>& runs, Values values,
                                       Values counts, Formula formula) {
    std::vector<double> figures;
    for (const ComparedResult& run : runs) {
      const Requests requests = {run.*values,
                                 counts == nullptr ? std::vector<double>() : run.*counts};
      std::vector<size_t> all(requests.values.size());
      std::iota(all.begin(), all.end(), size_t{0});
      figures.push_back(formula(requests, all));
    }
    return figures;
  }

  const std::vector<ComparedResult>& a_;
  const std::vector<ComparedResult>& b_;
  const BootstrapOptions& options_;
  std::vector<ComparedFigure>* const figures_;
};

std::vector<double> OfRuns(const std::vector<ComparedResult>& runs, const std::string& key) {
  std::vector<double> values;
  for (const ComparedResult& run : runs) {
    for (const auto& [name, value] : run.figures) {
      if (name == key) values.push_back(value);
    }
  }
  return values;
}

// A figure of which every run has one value.
void AddRunFigure(const std::vector<ComparedResult>& a, const std::vector<ComparedResult>& b,
                  const std::string& key, const std::string& name, bool higher_is_better,
                  const std::string& why_not, std::vector<ComparedFigure>* figures) {
  const std::vector<double> of_a = OfRuns(a, key);
  const std::vector<double> of_b = OfRuns(b, key);
  if (of_a.empty() || of_b.empty()) return;
  ComparedFigure figure = {.name = name,
                           .a = Mean(of_a),
                           .b = Mean(of_b),
                           .higher_is_better = higher_is_better,
                           .interval = std::nullopt,
                           .note = ""};
  if (of_a.size() >= 2 && of_b.size() >= 2 && figure.a != 0) {
    figure.interval = WelchRelativeDifference(of_a, of_b);
  } else {
    figure.note = why_not;
  }
  figures->push_back(std::move(figure));
}

bool AllDetailed(const std::vector<ComparedResult>& runs) {
  return std::all_of(runs.begin(), runs.end(),
                     [](const ComparedResult& run) { return run.detailed(); });
}

}  // namespace

bool ComparedFigure::better() const {
  return interval.has_value() && (higher_is_better ? interval->low > 0 : interval->high < 0);
}

bool ComparedFigure::worse() const {
  return interval.has_value() && (higher_is_better ? interval->high < 0 : interval->low > 0);
}

absl::StatusOr<ComparedResult> ToComparedResult(const std::string& file, const Json& json) {
  if (!json.is_object() || !json.contains("output_throughput") || !json.contains("completed")) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, " is no result of 'vllm bench serve' or vLLM's benchmark_serving.py"));
  }
  ComparedResult result;
  result.file = file;
  result.workload = Workload(json);
  result.num_prompts = Number(json, "num_prompts");
  for (const auto& [key, value] : json.items()) {
    if (value.is_number()) result.figures.emplace_back(key, value.get<double>());
  }
  TakeRequests(json, &result);
  return result;
}

Comparison Compare(const std::vector<ComparedResult>& a, const std::vector<ComparedResult>& b,
                   const BootstrapOptions& options) {
  Comparison comparison;
  comparison.workload = a.front().workload;
  for (const RunFigure& figure : kThroughputs) {
    AddRunFigure(a, b, figure.key, figure.name, /*higher_is_better=*/true, "one run",
                 &comparison.figures);
  }
  const bool repeated = a.size() >= 2 && b.size() >= 2;
  const std::string over_runs =
      absl::StrCat("intervals: Welch's t over ", a.size(), " and ", b.size(), " runs");
  if (!AllDetailed(a) || !AllDetailed(b)) {
    comparison.basis = repeated ? over_runs
                                : "no intervals: neither several runs nor the values of requests "
                                  "(--save-detailed)";
    for (const char* const metric : {"TTFT", "TPOT", "ITL", "E2EL"}) {
      for (const char* const kind : {"Mean", "Median", "P99"}) {
        const std::string key = absl::AsciiStrToLower(absl::StrCat(kind, "_", metric, "_ms"));
        AddRunFigure(a, b, key, absl::StrCat(kind, " ", metric, " (ms)"),
                     /*higher_is_better=*/false, "", &comparison.figures);
      }
    }
    return comparison;
  }
  BootstrapOptions used = options;
  used.paired = Joined(a, &ComparedResult::input_lens) == Joined(b, &ComparedResult::input_lens);
  comparison.basis =
      repeated
          ? over_runs
          : absl::StrCat("intervals: ", options.resamples, " bootstrap resamples of the requests",
                         used.paired ? " in pairs, which both have the same" : "",
                         "; how much whole runs differ by chance is not in them: compare "
                         "several runs of each");
  RequestFigures figures(a, b, used, &comparison.figures);
  figures.Add("TTFT", &ComparedResult::ttfts_ms);
  figures.Add("TPOT", &ComparedResult::tpots_ms);
  figures.AddItl();
  figures.Add("E2EL", &ComparedResult::e2els_ms);
  return comparison;
}

}  // namespace vallm::tools
