// Whether somebody still waits for a call.
#ifndef VALLM_TOKENIZER_SERVICE_CALL_STATUS_H_
#define VALLM_TOKENIZER_SERVICE_CALL_STATUS_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"

namespace vallm::tokenizer {

// OK while the client waits, then DEADLINE_EXCEEDED or CANCELLED. A client whose deadline passes
// hangs up, and does so a little before the deadline passes here, where the call came a little
// later: a call that is cancelled that near to it was overdue. Thread-safe.
absl::Status CheckWanted(const grpc::CallbackServerContext& context);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_CALL_STATUS_H_
