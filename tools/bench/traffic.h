// When requests are due: vLLM's request rate, burstiness and ramp-up, drawn before the run.
#ifndef VALLM_TOOLS_BENCH_TRAFFIC_H_
#define VALLM_TOOLS_BENCH_TRAFFIC_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace vallm::tools {

struct TrafficOptions {
  // Requests per second. Infinite: all are due at once, and max_concurrency decides.
  double request_rate = std::numeric_limits<double>::infinity();
  // Shape of the gamma distribution that intervals are drawn from: 1 is a Poisson process, less
  // comes in bursts, more is more even.
  double burstiness = 1;
  // "linear" or "exponential": the rate goes from start to end over the run; empty: it does not.
  std::string ramp_up_strategy = "";
  double ramp_up_start_rps = 0;
  double ramp_up_end_rps = 0;
  int max_concurrency = 0;  // requests at a time; 0: no limit
};

// Whether the schedule and not the server says when requests begin.
bool IsOpenLoop(const TrafficOptions& options);

// Seconds from the start, one for each request, in order; the first is 0.
std::vector<double> MakeSchedule(const TrafficOptions& options, int64_t count, uint64_t seed);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_TRAFFIC_H_
