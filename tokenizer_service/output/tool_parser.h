// Finds tool calls in an answer's content. Interfaces, so that models with another notation can be
// added to the registry. Not thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_TOOL_PARSER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_TOOL_PARSER_H_

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::tokenizer {

// Takes what a tool parser finds, in the order of the text. No text but a name is empty.
class ToolSink {
 public:
  virtual ~ToolSink() = default;

  // Text outside calls, as it stands.
  virtual void OnContent(std::string_view text) = 0;
  // A call begins: indexes rise by one from 0.
  virtual void OnCall(int index, std::string_view name) = 0;
  // The call goes on: a piece of the JSON of its arguments.
  virtual void OnArguments(int index, std::string_view json) = 0;
  // The next `bytes` of the text, markup included, belong to the call. Follows what they showed.
  virtual void OnCallText(int index, size_t bytes) = 0;
};

class ToolParser {
 public:
  virtual ~ToolParser() = default;

  // Gives `sink` what `text` makes certain. Text outside calls, and calls that turn out malformed
  // before they were begun, are content as they stand, tags and whitespace included. Every byte of
  // the text is content or the text of a call once, in order.
  virtual void Append(std::string_view text, ToolSink* sink) = 0;

  // The text is over: gives what was held back.
  virtual void Flush(ToolSink* sink) = 0;

  // After Flush: whether the text ended inside a call.
  virtual bool truncated() const = 0;

  // The tags it looks for.
  virtual std::vector<std::string_view> tags() const = 0;
};

// A parser by its name. `tools_json`: the request's tools, a JSON array of OpenAI definitions, or
// empty; only a notation without types reads it.
// Errors: INVALID_ARGUMENT for an unknown name (the message lists the known ones), or if
// `tools_json` is read and is not an array.
absl::StatusOr<std::unique_ptr<ToolParser>> MakeToolParser(std::string_view name,
                                                           std::string_view tools_json);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_TOOL_PARSER_H_
