#include "gateway/generation/run_end.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"

namespace vallm::gateway {
namespace {

// gRPC's text when there was no connection to send a call on. Nothing else tells such a call from
// one whose connection broke; if the text changes, a request merely looks guiltier than it is.
constexpr char kNotConnected[] = "failed to connect to all addresses";

}  // namespace

RunEnd ClassifyRunEnd(const EngineRunEnd& end, bool again) {
  const bool unavailable = absl::IsUnavailable(end.status);
  if (end.refused) {
    // The run before, of the same name, has not been cleared away yet; or the queue is full there.
    const bool passing =
        (again && absl::IsAlreadyExists(end.status)) || absl::IsResourceExhausted(end.status);
    return unavailable || passing ? RunEnd::kRefused : RunEnd::kFault;
  }
  if (end.answered) {
    const bool stopped = unavailable || absl::IsCancelled(end.status);
    return stopped ? RunEnd::kDied : RunEnd::kFault;
  }
  const bool not_connected = unavailable && absl::StrContains(end.status.message(), kNotConnected);
  // An engine of an earlier version does not know the call.
  if (not_connected || absl::IsUnimplemented(end.status)) return RunEnd::kRefused;
  // Whatever gRPC makes of a connection that breaks, it is nothing that this request has done: all
  // others on it hear the same.
  return RunEnd::kDied;
}

}  // namespace vallm::gateway
