// What becomes of the reasoning on its way to the client. Not thread-safe.
#ifndef VALLM_GATEWAY_GENERATION_REASONING_FILTER_H_
#define VALLM_GATEWAY_GENERATION_REASONING_FILTER_H_

#include <map>
#include <vector>

#include "gateway/generation/event.h"

namespace vallm::gateway {

enum class ReasoningDelivery {
  kAsItComes,
  kInOnePiece,  // each thought as one event, before what follows it
  kLeftOut,     // with the log-probabilities and ids of its tokens
};

class ReasoningFilter {
 public:
  explicit ReasoningFilter(ReasoningDelivery delivery) : delivery_(delivery) {}

  // Changes the next events of an answer; there may be none left.
  void Apply(std::vector<GenerationEvent>* events);

 private:
  void Hold(GenerationEvent&& event);

  const ReasoningDelivery delivery_;
  std::map<int, GenerationEvent> held_;  // by choice
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_REASONING_FILTER_H_
