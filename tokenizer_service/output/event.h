// The typed events an answer is made of, and their fold: the whole answer. Streaming sends the
// events as they come, a unary answer is Fold() of the same events, so the two cannot differ.
// Plain values; no threads.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_EVENT_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_EVENT_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_service/output/token_run.h"

namespace vallm::tokenizer {

struct Event {
  enum class Kind {
    kReasoning,      // text: a piece of the reasoning
    kContent,        // text: a piece of the answer
    kToolCallStart,  // index, text: the name of a call, sent once, before its arguments
    kToolArguments,  // index, text: a piece of the call's arguments, the JSON as the model wrote it
    kStop,           // text: the stop string that ended the answer; no text event follows
    kFinish,         // text: the finish reason; always the last event, exactly once
  };
  Kind kind = Kind::kContent;
  std::string text;  // valid UTF-8, whole characters; never empty but for a call without a name
  int index = 0;     // of the tool call, from 0, rising by one
  // The next of the answer's tokens, as they were fed: those that begin to show in this event, and
  // before them those that show nowhere. Over all events every token that was fed up to the stop
  // string is there once. Empty where text is fed.
  std::vector<TokenRun> tokens = {};

  friend bool operator==(const Event&, const Event&) = default;
};

// A whole answer. Empty reasoning and content mean "none" (null in the OpenAI API).
struct ParsedOutput {
  struct ToolCall {
    std::string name;
    std::string arguments;
    friend bool operator==(const ToolCall&, const ToolCall&) = default;
  };
  std::string reasoning{};
  std::string content{};
  std::vector<ToolCall> tool_calls{};
  std::string finish_reason{};  // empty until kFinish was seen
  std::string stop{};           // the stop string hit, or empty

  friend bool operator==(const ParsedOutput&, const ParsedOutput&) = default;
};

// Appends a piece of text to *events, joined to the last event where that is of the same kind and
// call. Nothing if `text` is empty.
void AppendText(Event::Kind kind, std::string_view text, int index, std::vector<Event>* events);

// Adds one event to the answer so far. REQUIRES: events in the order the parser gave them.
void FoldEvent(const Event& event, ParsedOutput* output);

// The answer that `events`, in order, add up to.
ParsedOutput Fold(std::span<const Event> events);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_EVENT_H_
