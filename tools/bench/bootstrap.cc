#include "tools/bench/bootstrap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "tools/bench/statistics.h"

namespace vallm::tools {
namespace {

// The 97.5 % quantile of Student's t for 1 to 30 degrees of freedom, from the usual table.
constexpr std::array<double, 30> kStudentT = {
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};

double StudentT(double degrees) {
  const auto whole = static_cast<size_t>(std::max(1.0, std::floor(degrees)));
  return whole <= kStudentT.size() ? kStudentT[whole - 1] : 1.96 + 2.5 / static_cast<double>(whole);
}

void Draw(size_t count, std::mt19937_64& random, std::vector<size_t>* chosen) {
  chosen->resize(count);
  std::uniform_int_distribution<size_t> any(0, count - 1);
  for (size_t& index : *chosen) index = any(random);
}

// Of the sample: divided by n - 1, and by n once more for the mean.
double VarianceOfMean(std::span<const double> values) {
  const double deviation = StandardDeviation(values);
  return deviation * deviation / static_cast<double>(values.size() - 1);
}

}  // namespace

Interval BootstrapRelativeDifference(const Statistic& a, size_t count_a, const Statistic& b,
                                     size_t count_b, const BootstrapOptions& options) {
  std::mt19937_64 random(options.seed);
  std::vector<size_t> chosen_a, chosen_b;
  std::vector<double> differences;
  for (int i = 0; i < options.resamples; ++i) {
    Draw(count_a, random, &chosen_a);
    if (options.paired) {
      chosen_b = chosen_a;
    } else {
      Draw(count_b, random, &chosen_b);
    }
    const double before = a(chosen_a);
    if (before != 0) differences.push_back(b(chosen_b) / before - 1);
  }
  std::sort(differences.begin(), differences.end());
  const double tail = (1 - options.confidence) / 2 * 100;
  return {.low = PercentileOfSorted(differences, tail),
          .high = PercentileOfSorted(differences, 100 - tail)};
}

Interval WelchRelativeDifference(std::span<const double> a, std::span<const double> b) {
  const double variance_a = VarianceOfMean(a);
  const double variance_b = VarianceOfMean(b);
  const double both = variance_a + variance_b;
  const double degrees = both == 0
                             ? static_cast<double>(a.size() + b.size() - 2)
                             : both * both /
                                   (variance_a * variance_a / static_cast<double>(a.size() - 1) +
                                    variance_b * variance_b / static_cast<double>(b.size() - 1));
  const double half = StudentT(degrees) * std::sqrt(both);
  const double difference = Mean(b) - Mean(a);
  const double base = Mean(a);
  return {.low = (difference - half) / std::abs(base),
          .high = (difference + half) / std::abs(base)};
}

}  // namespace vallm::tools
