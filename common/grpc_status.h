// absl::Status ⇄ grpc::Status. The codes are the same numbers in both; this is the one place that
// says so.
#ifndef VALLM_COMMON_GRPC_STATUS_H_
#define VALLM_COMMON_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace vallm {

// A message that would not fit a header is cut, on a character border, and says so. What is no
// valid UTF-8 in it becomes U+FFFD: in a field of a message it would make that unreadable.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace vallm

#endif  // VALLM_COMMON_GRPC_STATUS_H_
