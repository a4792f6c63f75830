// Confidence intervals of the difference of two statistics, by the bootstrap: resampling what was
// seen, with replacement, and looking how far the difference moves.
#ifndef VALLM_TOOLS_BENCH_BOOTSTRAP_H_
#define VALLM_TOOLS_BENCH_BOOTSTRAP_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace vallm::tools {

struct Interval {
  double low = 0;
  double high = 0;
};

// A statistic of the requests that are named, some more than once.
using Statistic = std::function<double(std::span<const size_t> requests)>;

struct BootstrapOptions {
  int resamples = 2000;
  double confidence = 0.95;
  uint64_t seed = 1;
  // Both sides have the same requests in the same order: they are drawn together, so that what
  // requests differ in by themselves cancels out.
  bool paired = false;
};

// The interval of b / a - 1. `count_a` and `count_b` are the numbers of requests of each side.
// REQUIRES: both are positive, and equal when paired. Costs resamples times both statistics.
Interval BootstrapRelativeDifference(const Statistic& a, size_t count_a, const Statistic& b,
                                     size_t count_b, const BootstrapOptions& options);

// The interval of mean(b) / mean(a) - 1 of a few values each (one per run), by Welch's t at 95 %.
// REQUIRES: two values each, and mean(a) is not 0.
Interval WelchRelativeDifference(std::span<const double> a, std::span<const double> b);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_BOOTSTRAP_H_
