// Why a run on an engine ended before the answer was complete, and so what may be done about it.
#ifndef VALLM_GATEWAY_GENERATION_RUN_END_H_
#define VALLM_GATEWAY_GENERATION_RUN_END_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace grpc {
class ClientContext;
}

namespace vallm::gateway {

enum class RunEnd {
  kRefused,  // the engine never ran it: not reached, not serving, or full
  kDied,     // the engine, its workers or the connection were lost while it ran there
  kFault,    // the engine's verdict on the request: the same anywhere else
};

// What is known of a call that has ended with an error.
struct CallEnd {
  absl::Status status;
  bool answered = false;   // the engine's own word (kAnsweredTrailer), not gRPC's
  bool refused = false;    // kRefusedTrailer
  bool continued = false;  // the request asked to go on from tokens of an earlier run
};

// REQUIRES: the call of `context` is done with `status`, and it was not cancelled by us.
CallEnd ReadCallEnd(const grpc::ClientContext& context, const grpc::Status& status, bool continued);

RunEnd ClassifyRunEnd(const CallEnd& end);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_RUN_END_H_
