// What two loads that an instance has reported say about what happened in between. Pure.
#ifndef VALLM_GATEWAY_ROUTING_LOAD_CHANGE_H_
#define VALLM_GATEWAY_ROUTING_LOAD_CHANGE_H_

#include "vallm/v1/engine.pb.h"

namespace vallm::gateway {

enum class LoadChange {
  kNone,
  kCacheLost,  // the prefix cache is empty
  kRestarted,  // the process or its workers are new; the cache is empty as well
};

// `before` is a default value if nothing was reported yet.
LoadChange CompareLoads(const v1::Load& before, const v1::Load& after);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_LOAD_CHANGE_H_
