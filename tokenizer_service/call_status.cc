#include "tokenizer_service/call_status.h"

#include <chrono>

namespace vallm::tokenizer {
namespace {

constexpr std::chrono::milliseconds kWayOfACall{20};

}  // namespace

absl::Status CheckWanted(const grpc::CallbackServerContext& context) {
  const bool cancelled = context.IsCancelled();
  auto now = std::chrono::system_clock::now();
  if (cancelled) now += kWayOfACall;
  if (context.deadline() < now) {
    return absl::DeadlineExceededError("the deadline passed before the call was done");
  }
  return cancelled ? absl::CancelledError("the client is gone") : absl::OkStatus();
}

}  // namespace vallm::tokenizer
