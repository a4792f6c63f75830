#include "tools/bench/traffic.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>

namespace vallm::tools {
namespace {

// The rate when `share` of the requests have been sent.
double RateAt(const TrafficOptions& options, double share) {
  const double start = options.ramp_up_start_rps;
  const double end = options.ramp_up_end_rps;
  if (options.ramp_up_strategy == "linear") return start + (end - start) * share;
  if (options.ramp_up_strategy == "exponential") return start * std::pow(end / start, share);
  return options.request_rate;
}

}  // namespace

bool IsOpenLoop(const TrafficOptions& options) {
  return !options.ramp_up_strategy.empty() || std::isfinite(options.request_rate);
}

std::vector<double> MakeSchedule(const TrafficOptions& options, int64_t count, uint64_t seed) {
  std::vector<double> due(static_cast<size_t>(count), 0);
  if (!IsOpenLoop(options)) return due;
  std::mt19937_64 random(seed);
  std::gamma_distribution<double> interval(options.burstiness, 1 / options.burstiness);
  double now = 0;
  for (size_t i = 1; i < due.size(); ++i) {
    const double share =
        static_cast<double>(i) / static_cast<double>(std::max<size_t>(due.size() - 1, 1));
    now += interval(random) / RateAt(options, share);
    due[i] = now;
  }
  return due;
}

}  // namespace vallm::tools
