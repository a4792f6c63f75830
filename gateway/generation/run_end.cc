#include "gateway/generation/run_end.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"

namespace vallm::gateway {
namespace {

// gRPC's text when there was no connection to send a call on. Nothing else tells such a call from
// one whose connection broke; if the text changes, a request merely looks guiltier than it is.
constexpr char kNotConnected[] = "failed to connect to all addresses";

}  // namespace

RunEnd ClassifyRunEnd(const EngineRunEnd& end, bool continued) {
  const bool unavailable = absl::IsUnavailable(end.status);
  if (end.refused) {
    // The run before, of the same name, has not been cleared away yet; or the queue is full there.
    const bool passing =
        (continued && absl::IsAlreadyExists(end.status)) || absl::IsResourceExhausted(end.status);
    return unavailable || passing ? RunEnd::kRefused : RunEnd::kFault;
  }
  if (end.answered) {
    const bool stopped = unavailable || absl::IsCancelled(end.status);
    return stopped ? RunEnd::kDied : RunEnd::kFault;
  }
  if (unavailable && absl::StrContains(end.status.message(), kNotConnected)) {
    return RunEnd::kRefused;
  }
  // What gRPC makes of a connection that breaks, depending on when it does.
  const bool lost = unavailable || absl::IsCancelled(end.status) || absl::IsUnknown(end.status) ||
                    absl::IsInternal(end.status);
  return lost ? RunEnd::kDied : RunEnd::kFault;
}

}  // namespace vallm::gateway
