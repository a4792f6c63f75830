// Finds tool calls in an answer's content. An interface, so that models with another notation can
// be added to the registry. Not thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_TOOL_PARSER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_TOOL_PARSER_H_

#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/output/event.h"

namespace vallm::tokenizer {

class ToolParser {
 public:
  virtual ~ToolParser() = default;

  // Appends the kContent, kToolCallStart and kToolArguments events that `text` makes certain. Text
  // outside calls, and calls that turn out malformed before they were begun, are content as they
  // stand, tags and whitespace included.
  virtual void Append(std::string_view text, std::vector<Event>* events) = 0;

  // The text is over: appends what was held back.
  virtual void Flush(std::vector<Event>* events) = 0;

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
