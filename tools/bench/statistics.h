// Means, deviations and percentiles, by numpy's definitions.
#ifndef VALLM_TOOLS_BENCH_STATISTICS_H_
#define VALLM_TOOLS_BENCH_STATISTICS_H_

#include <span>
#include <utility>
#include <vector>

namespace vallm::tools {

// All are 0 for no values, as in vLLM's results.
double Mean(std::span<const double> values);
// Of the population: divided by n.
double StandardDeviation(std::span<const double> values);
// `percent` 0..100 of values in ascending order; between two of them linearly (numpy's default).
double PercentileOfSorted(std::span<const double> sorted, double percent);

struct Distribution {
  double mean = 0;
  double median = 0;
  double standard_deviation = 0;
  std::vector<std::pair<double, double>> percentiles;  // (percent, value), as asked
};

Distribution Describe(std::vector<double> values, std::span<const double> percents);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_STATISTICS_H_
