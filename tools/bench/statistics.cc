#include "tools/bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace vallm::tools {

double Mean(std::span<const double> values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double StandardDeviation(std::span<const double> values) {
  if (values.empty()) return 0;
  const double mean = Mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

double PercentileOfSorted(std::span<const double> sorted, double percent) {
  if (sorted.empty()) return 0;
  const double place = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = std::min(static_cast<size_t>(place), sorted.size() - 1);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double share = place - static_cast<double>(below);
  return sorted[below] + (sorted[above] - sorted[below]) * share;
}

Distribution Describe(std::vector<double> values, std::span<const double> percents) {
  std::sort(values.begin(), values.end());
  Distribution result = {.mean = Mean(values),
                         .median = PercentileOfSorted(values, 50),
                         .standard_deviation = StandardDeviation(values),
                         .percentiles = {}};
  for (const double percent : percents) {
    result.percentiles.emplace_back(percent, PercentileOfSorted(values, percent));
  }
  return result;
}

}  // namespace vallm::tools
