// Counts of engines over their restarts: an engine counts from zero again, and what is said of it
// here does not. Pure; not thread-safe.
#ifndef VALLM_GATEWAY_ROUTING_LOAD_TOTALS_H_
#define VALLM_GATEWAY_ROUTING_LOAD_TOTALS_H_

#include <cstdint>
#include <map>
#include <string>

#include "vallm/v1/engine.pb.h"

namespace vallm::gateway {

struct LoadTotals {
  LoadTotals& operator+=(const LoadTotals& other);

  int64_t prompt_tokens = 0;
  int64_t generated_tokens = 0;
  int64_t prefix_queried_tokens = 0;
  int64_t prefix_hit_tokens = 0;
  int64_t preemptions = 0;
  int64_t drafts = 0;
  int64_t draft_tokens = 0;
  int64_t accepted_draft_tokens = 0;
};

class LoadFollower {
 public:
  // What has been counted since the instance's last report; all of it for its first one if
  // `from_zero`, nothing otherwise. An instance that has not reported stays where it was.
  LoadTotals Advance(const std::string& instance, const v1::Load& load, bool from_zero);
  // The sum of all that Advance has said of it.
  LoadTotals Total(const std::string& instance) const;

 private:
  struct Instance {
    v1::Load last;
    LoadTotals total;
  };
  std::map<std::string, Instance> instances_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_LOAD_TOTALS_H_
