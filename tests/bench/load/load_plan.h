// What a load generator is to do, and what came of it.
#ifndef VALLM_TESTS_BENCH_LOAD_LOAD_PLAN_H_
#define VALLM_TESTS_BENCH_LOAD_LOAD_PLAN_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace vallm::bench {

struct LoadPlan {
  int requests = 1000;
  int concurrency = 64;  // requests at a time
  // Requests per second that are due whatever the server does (open loop, Poisson, drawn from
  // `seed`); one that finds all places taken waits, and its times count from when it was due. 0: a
  // place that becomes free asks at once.
  double rate = 0;
  uint64_t seed = 1;
};

struct LoadResult {
  int completed = 0;
  std::map<std::string, int> failures;  // by what was seen
  double seconds = 0;                   // from the first request to the last answer
  int64_t tokens = 0;                   // of completions, as the server counts them
  int64_t frames = 0;                   // SSE frames or stream messages
  int64_t bytes = 0;                    // received
  int most_at_once = 0;
  std::vector<double> first_s;       // until the first text or token, one per streamed request
  std::vector<double> total_s;       // until the end, one per request
  std::map<int, double> first_s_of;  // the same by request

  nlohmann::ordered_json ToJson() const;
};

// When each request is due, in seconds from the start: all 0 without a rate.
std::vector<double> DueTimes(const LoadPlan& plan);

}  // namespace vallm::bench

#endif  // VALLM_TESTS_BENCH_LOAD_LOAD_PLAN_H_
