#include "tokenizer_service/output/event.h"

#include <glog/logging.h>

namespace vallm::tokenizer {

void AppendText(Event::Kind kind, std::string_view text, int index, std::vector<Event>* events) {
  if (text.empty()) return;
  if (!events->empty() && events->back().kind == kind && events->back().index == index) {
    events->back().text += text;
  } else {
    events->push_back({kind, std::string(text), index});
  }
}

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
      CHECK_EQ(static_cast<size_t>(event.index) + 1, output->tool_calls.size())
          << "arguments of a call that is not the last begun";
      output->tool_calls.back().arguments += event.text;
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
