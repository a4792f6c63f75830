#include "tests/bench/load/load_plan.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>

namespace vallm::bench {
namespace {

nlohmann::ordered_json Percentiles(std::vector<double> seconds) {
  nlohmann::ordered_json result = nlohmann::ordered_json::object();
  if (seconds.empty()) return result;
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&seconds](double share) {
    const auto index = static_cast<size_t>(std::ceil(share * static_cast<double>(seconds.size())));
    return std::round(seconds[std::max<size_t>(index, 1) - 1] * 1e6) / 1e3;
  };
  result["p50"] = at(0.5);
  result["p90"] = at(0.9);
  result["p99"] = at(0.99);
  result["max"] = at(1);
  return result;
}

}  // namespace

nlohmann::ordered_json LoadResult::ToJson() const {
  nlohmann::ordered_json json = {{"completed", completed},
                                 {"failures", failures},
                                 {"seconds", seconds},
                                 {"tokens", tokens},
                                 {"frames", frames},
                                 {"bytes", bytes},
                                 {"most_at_once", most_at_once}};
  json["requests_per_s"] = completed / seconds;
  json["tokens_per_s"] = static_cast<double>(tokens) / seconds;
  json["first_ms"] = Percentiles(first_s);
  json["total_ms"] = Percentiles(total_s);
  return json;
}

std::vector<double> DueTimes(const LoadPlan& plan) {
  std::vector<double> due(static_cast<size_t>(plan.requests), 0);
  if (plan.rate <= 0) return due;
  std::mt19937_64 random(plan.seed);
  std::exponential_distribution<double> gap(plan.rate);
  double now = 0;
  for (double& time : due) time = now += gap(random);
  return due;
}

}  // namespace vallm::bench
