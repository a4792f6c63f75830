// How fast slots come free, lately, and so how long a place in the queue will take. Not
// thread-safe.
#ifndef VALLM_GATEWAY_ROUTING_DRAIN_RATE_H_
#define VALLM_GATEWAY_ROUTING_DRAIN_RATE_H_

#include <optional>

#include "absl/time/time.h"

namespace vallm::gateway {

class DrainRate {
 public:
  // A request has taken a slot, or given one back.
  void OnTaken(absl::Time now);
  void OnFreed(absl::Time now);

  // How long until `count` more slots have come free, at the rate of about the last half minute.
  // While none has come free yet, as long as it has been tried; nullopt before the first was taken.
  std::optional<absl::Duration> TimeToFree(int count, absl::Time now) const;

 private:
  // Of the slots freed before updated_, each counted less the longer ago it was.
  double WeightAt(absl::Time now) const;

  double weight_ = 0;
  absl::Time updated_ = absl::InfinitePast();
  std::optional<absl::Time> since_;  // when the first slot was taken
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_DRAIN_RATE_H_
