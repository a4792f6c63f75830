#include "gateway/generation/reasoning_filter.h"

#include <utility>

namespace vallm::gateway {

void ReasoningFilter::Apply(std::vector<GenerationEvent>* events) {
  if (delivery_ == ReasoningDelivery::kAsItComes) return;
  std::vector<GenerationEvent> out;
  for (GenerationEvent& event : *events) {
    if (event.kind == GenerationEvent::Kind::kReasoning) {
      if (delivery_ == ReasoningDelivery::kInOnePiece) Hold(std::move(event));
      continue;
    }
    if (auto held = held_.extract(event.choice)) out.push_back(std::move(held.mapped()));
    out.push_back(std::move(event));
  }
  *events = std::move(out);
}

void ReasoningFilter::Hold(GenerationEvent&& event) {
  const auto [place, is_new] = held_.try_emplace(event.choice);
  GenerationEvent& held = place->second;
  if (is_new) {
    held = std::move(event);
    return;
  }
  held.text += event.text;
  held.usage = event.usage;
  held.logprobs.insert(held.logprobs.end(), event.logprobs.begin(), event.logprobs.end());
  held.token_ids.insert(held.token_ids.end(), event.token_ids.begin(), event.token_ids.end());
}

}  // namespace vallm::gateway
