// Asks an engine directly, over gRPC: what the gateway and the tokenizer add is the difference.
#ifndef VALLM_TESTS_BENCH_LOAD_GRPC_LOAD_H_
#define VALLM_TESTS_BENCH_LOAD_GRPC_LOAD_H_

#include <functional>
#include <string>

#include "tests/bench/load/load_plan.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm::bench {

// Runs the plan to its end, every request a stream. `address` is host:port or unix:/path.
LoadResult RunGrpcLoad(const LoadPlan& plan, const std::string& address,
                       const std::function<v1::GenerateRequest(int index)>& request);

}  // namespace vallm::bench

#endif  // VALLM_TESTS_BENCH_LOAD_GRPC_LOAD_H_
