#include "tokenizer_service/output/event.h"

namespace vallm::tokenizer {

void FoldEvent(const Event& event, ParsedOutput* output) {
  switch (event.kind) {
    case Event::Kind::kReasoning:
      output->reasoning += event.text;
      break;
    case Event::Kind::kContent:
      output->content += event.text;
      break;
    case Event::Kind::kToolCallStart:
      output->tool_calls.push_back({event.text, ""});
      break;
    case Event::Kind::kToolArguments:
      output->tool_calls.at(static_cast<size_t>(event.index)).arguments += event.text;
      break;
    case Event::Kind::kStop:
      output->stop = event.text;
      break;
    case Event::Kind::kFinish:
      output->finish_reason = event.text;
      break;
  }
}

ParsedOutput Fold(std::span<const Event> events) {
  ParsedOutput output;
  for (const Event& event : events) FoldEvent(event, &output);
  return output;
}

}  // namespace vallm::tokenizer
