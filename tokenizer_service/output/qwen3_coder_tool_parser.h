// The notation of Qwen3-Coder:
//
//   <tool_call>
//   <function=get_weather>
//   <parameter=city>
//   Paris
//   </parameter>
//   </function>
//   </tool_call>
//
// The arguments are written as a JSON object, parameter by parameter. One line break at each end of
// a value is markup. A parameter that is text by its schema, or has none, becomes a string and is
// streamed; any other is taken as JSON when it is complete, or else as a string. "null" is null
// either way. A function without parameters has the arguments {}. A value also ends where the next
// tag begins a line, should its own closing tag be missing.
//
// The call is committed when its name is known; until then a text that is no call is content.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_QWEN3_CODER_TOOL_PARSER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_QWEN3_CODER_TOOL_PARSER_H_

#include <string>

#include "tokenizer_service/output/tag_matcher.h"
#include "tokenizer_service/output/tool_parser.h"
#include "tokenizer_service/output/tool_schemas.h"

namespace vallm::tokenizer {

class Qwen3CoderToolParser : public ToolParser {
 public:
  explicit Qwen3CoderToolParser(ToolSchemas schemas);

  void Append(std::string_view text, ToolSink* sink) override;
  void Flush(ToolSink* sink) override;
  bool truncated() const override { return truncated_; }
  std::vector<std::string_view> tags() const override;

 private:
  enum class State {
    kContent,
    kOpened,         // behind <tool_call>: <function=NAME> is to come, or it is no call
    kParameters,     // between parameters
    kValue,          // in a parameter
    kAfterFunction,  // behind </function>
  };

  void Step(char c, ToolSink* sink);
  void StepOpened(char c, ToolSink* sink);
  void StepMarkup(char c, ToolSink* sink);
  void StepValue(char c, ToolSink* sink);
  // Acts on held_ if it is a whole tag. Returns whether it is, or may become, one.
  bool TakeTag(ToolSink* sink);

  void BeginRegion();
  void BeginCall(std::string_view name, ToolSink* sink);
  void BeginValue(std::string_view parameter);
  void PushValue(char c);
  // Adds to the arguments what value_ has of a string, its quote before it.
  void SendText();
  void EndValue();
  void EndArguments();
  void Send(std::string_view arguments);
  // What was put together of the arguments, and the text of the call but for its last `held` bytes.
  void SendCall(size_t held, ToolSink* sink);

  const ToolSchemas schemas_;
  State state_ = State::kContent;
  TagMatcher open_;
  size_t unsent_ = 0;   // bytes since the opening tag that the sink does not have
  std::string region_;  // kOpened: the text since the opening tag, that included
  std::string held_;    // what may be a tag
  int calls_ = 0;       // begun so far
  bool truncated_ = false;

  std::string arguments_;        // put together, and not sent
  std::string function_;         // the name of the call
  bool has_parameters_ = false;  // of the call, so far
  bool text_ = false;            // the value is a string
  bool quoted_ = false;          // the string's opening quote was sent
  bool at_value_begin_ = false;  // a line break would be markup
  bool line_begins_ = false;     // the value begins with a line break, and is empty so far
  std::string value_;            // what was not sent
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_QWEN3_CODER_TOOL_PARSER_H_
