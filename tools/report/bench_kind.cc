#include <algorithm>
#include <cmath>
#include <vector>

#include "nlohmann/json.hpp"
#include "tools/report/report_kind.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kQuantiles = 100;

bool IsNumber(const Json& result, const char* name) {
  return result.contains(name) && result[name].is_number();
}

bool Recognises(const Json& result) {
  return IsNumber(result, "duration") && IsNumber(result, "completed") &&
         IsNumber(result, "output_throughput") && IsNumber(result, "total_output_tokens");
}

// Four significant digits: pages stay small.
double Short(double value) {
  if (value == 0 || !std::isfinite(value)) return 0;
  const double scale = std::pow(10, 3 - std::floor(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

Json Numbers(const Json& list) {
  Json numbers = Json::array();
  for (const Json& value : list)
    numbers.push_back(value.is_number() ? Short(value.get<double>()) : 0);
  return numbers;
}

// The 0th to 100th percentile, in ms.
Json QuantilesMs(const Json& lists) {
  std::vector<double> values;
  for (const Json& list : lists) {
    if (!list.is_array()) continue;
    for (const Json& value : list) {
      if (value.is_number()) values.push_back(value.get<double>() * 1e3);
    }
  }
  std::sort(values.begin(), values.end());
  Json quantiles = Json::array();
  for (int i = 0; i <= kQuantiles && !values.empty(); ++i) {
    quantiles.push_back(Short(values[(values.size() - 1) * static_cast<size_t>(i) / kQuantiles]));
  }
  return quantiles;
}

Json Summary(const Json& result) {
  Json summary;
  for (const auto& [name, value] : result.items()) {
    if (!value.is_array()) summary[name] = value;
  }
  // vLLM's files have no latencies: they are the sums of what they have.
  if (!result.contains("ttfts") || !result["ttfts"].is_array()) return summary;
  Json requests;
  for (const char* const name :
       {"ttfts", "latencies", "start_times", "due_times", "output_lens", "input_lens"}) {
    if (result.contains(name) && result[name].is_array()) requests[name] = Numbers(result[name]);
  }
  if (result.contains("itls") && result["itls"].is_array()) {
    summary["itl_quantiles_ms"] = QuantilesMs(result["itls"]);
    if (!requests.contains("latencies")) {
      Json latencies = Json::array();
      for (size_t i = 0; i < result["itls"].size() && i < requests["ttfts"].size(); ++i) {
        double latency = requests["ttfts"][i].get<double>();
        for (const Json& gap : result["itls"][i]) {
          if (gap.is_number()) latency += gap.get<double>();
        }
        latencies.push_back(Short(latency));
      }
      requests["latencies"] = std::move(latencies);
    }
  }
  if (result.contains("errors") && result["errors"].is_array()) {
    Json failed = Json::array();
    for (const Json& error : result["errors"]) {
      failed.push_back(error.is_string() && !error.get_ref<const std::string&>().empty());
    }
    requests["failed"] = std::move(failed);
  }
  summary["requests"] = std::move(requests);
  return summary;
}

}  // namespace

const ReportKind kBenchKind = {"bench", Recognises, Summary};

}  // namespace vallm::tools
