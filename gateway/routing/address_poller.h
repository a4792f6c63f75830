// Asks a source of addresses again and again, in a thread of its own, and hands on what it says.
//
// A source that fails changes nothing: what it said last goes on to hold. An error is logged when
// it is a new one.
#ifndef VALLM_GATEWAY_ROUTING_ADDRESS_POLLER_H_
#define VALLM_GATEWAY_ROUTING_ADDRESS_POLLER_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vallm::gateway {

class AddressPoller {
 public:
  // May block for long; may still run when the poller is gone, so it must own what it uses.
  using Read = std::function<absl::StatusOr<std::vector<std::string>>()>;
  // Called from the thread, never once the destructor has begun to return.
  using Sink = std::function<void(const std::vector<std::string>&)>;

  // Reads at once, then `interval` after each answer.
  AddressPoller(absl::Duration interval, Read read, Sink sink);
  ~AddressPoller();
  AddressPoller(const AddressPoller&) = delete;
  AddressPoller& operator=(const AddressPoller&) = delete;

 private:
  struct State;
  static void Run(State& state);

  const std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_ADDRESS_POLLER_H_
