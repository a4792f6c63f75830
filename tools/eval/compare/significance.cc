#include "tools/eval/compare/significance.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace vallm::eval {
namespace {

constexpr double kZ = 1.959963984540054;  // of 95 %
constexpr int kResamples = 10000;
constexpr uint64_t kSeed = 20250705;

// log of n over k.
double LogChoose(int64_t n, int64_t k) {
  const auto log_factorial = [](int64_t x) { return std::lgamma(static_cast<double>(x) + 1); };
  return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

}  // namespace

Interval WilsonInterval(double share, int64_t n) {
  if (n <= 0) return {.low = 0, .high = 1};
  const auto count = static_cast<double>(n);
  const double center = share + kZ * kZ / (2 * count);
  const double spread = kZ * std::sqrt(share * (1 - share) / count + kZ * kZ / (4 * count * count));
  const double scale = 1 + kZ * kZ / count;
  return {.low = std::max(0.0, (center - spread) / scale),
          .high = std::min(1.0, (center + spread) / scale)};
}

double McNemarExact(int64_t only_a, int64_t only_b) {
  const int64_t n = only_a + only_b;
  if (n == 0) return 1;
  double tail = 0;
  for (int64_t k = 0; k <= std::min(only_a, only_b); ++k) {
    tail += std::exp(LogChoose(n, k) - static_cast<double>(n) * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

Interval BootstrapMean(const std::vector<double>& differences) {
  if (differences.empty()) return {};
  std::mt19937_64 random(kSeed);
  std::uniform_int_distribution<size_t> pick(0, differences.size() - 1);
  std::vector<double> means(kResamples);
  for (double& mean : means) {
    double sum = 0;
    for (size_t i = 0; i < differences.size(); ++i) sum += differences[pick(random)];
    mean = sum / static_cast<double>(differences.size());
  }
  std::sort(means.begin(), means.end());
  return {.low = means[kResamples * 25 / 1000], .high = means[kResamples * 975 / 1000 - 1]};
}

double SignFlipTest(const std::vector<double>& differences) {
  std::vector<double> nonzero;
  for (const double d : differences) {
    if (d != 0) nonzero.push_back(d);
  }
  if (nonzero.empty()) return 1;
  const double observed = std::abs(std::accumulate(nonzero.begin(), nonzero.end(), 0.0));
  std::mt19937_64 random(kSeed);
  int at_least = 1;  // the observed one
  for (int i = 0; i < kResamples; ++i) {
    double sum = 0;
    uint64_t bits = 0;
    for (size_t j = 0; j < nonzero.size(); ++j) {
      if (j % 64 == 0) bits = random();
      sum += ((bits >> (j % 64)) & 1) != 0 ? nonzero[j] : -nonzero[j];
    }
    at_least += std::abs(sum) >= observed * (1 - 1e-12) ? 1 : 0;
  }
  return std::min(1.0, static_cast<double>(at_least) / (kResamples + 1));
}

double FisherExact(double share_a, int64_t na, double share_b, int64_t nb) {
  const auto right_a = static_cast<int64_t>(std::llround(share_a * static_cast<double>(na)));
  const auto right_b = static_cast<int64_t>(std::llround(share_b * static_cast<double>(nb)));
  const int64_t right = right_a + right_b;
  const auto log_probability = [&](int64_t k) {
    return LogChoose(na, k) + LogChoose(nb, right - k) - LogChoose(na + nb, right);
  };
  const double observed = log_probability(right_a);
  double p = 0;
  for (int64_t k = std::max<int64_t>(0, right - nb); k <= std::min(right, na); ++k) {
    const double log_p = log_probability(k);
    if (log_p <= observed + 1e-7) p += std::exp(log_p);
  }
  return std::min(1.0, p);
}

std::vector<double> HolmAdjusted(const std::vector<double>& p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  double running = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    running = std::max(running, p_values[order[i]] * static_cast<double>(order.size() - i));
    adjusted[order[i]] = std::min(1.0, running);
  }
  return adjusted;
}

}  // namespace vallm::eval
