// Why a run on an engine ended before the answer was complete, and so what may be done about it.
#ifndef VALLM_GATEWAY_GENERATION_RUN_END_H_
#define VALLM_GATEWAY_GENERATION_RUN_END_H_

#include "gateway/routing/engine_stream.h"

namespace vallm::gateway {

enum class RunEnd {
  kRefused,  // the engine never ran it: not reached, not serving, or full
  kDied,     // the engine, its workers or the connection were lost while it ran there
  kFault,    // the engine's verdict on the request: the same anywhere else
};

// `again`: it was not the first run of its name. REQUIRES: the end of a run without a finish
// reason, and not one that we have cancelled.
RunEnd ClassifyRunEnd(const EngineRunEnd& end, bool again);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_RUN_END_H_
