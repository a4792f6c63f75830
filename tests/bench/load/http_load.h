// Asks an OpenAI-compatible server over HTTP/1.1 with as little work per byte as an honest client
// can do: tools/load_client, and answers that are looked through for what is counted and not parsed
// as JSON.
#ifndef VALLM_TESTS_BENCH_LOAD_HTTP_LOAD_H_
#define VALLM_TESTS_BENCH_LOAD_HTTP_LOAD_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "tests/bench/load/load_plan.h"

namespace vallm::bench {

struct HttpTarget {
  std::string host = "127.0.0.1";
  int port = 8000;
  std::string path = "/v1/chat/completions";
  std::string api_key;  // empty: none
  // X-Request-Id of request `index`, which the logs of the services show.
  std::function<std::string(int index)> request_id;
  // The body of request `index`. A streamed answer is told by its Content-Type.
  std::function<std::string(int index)> body;
};

// Runs the plan to its end. With `hold` it stops when every request has its first frame, calls
// hold, and drops the connections. Errors: UNAVAILABLE when the host is unknown.
absl::StatusOr<LoadResult> RunHttpLoad(const LoadPlan& plan, const HttpTarget& target,
                                       const std::function<void()>& hold);

}  // namespace vallm::bench

#endif  // VALLM_TESTS_BENCH_LOAD_HTTP_LOAD_H_
