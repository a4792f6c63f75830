// The hermes notation, which Qwen3 writes:
//
//   <tool_call>
//   {"name": "get_weather", "arguments": {"city": "Paris"}}
//   </tool_call>
//
// A closing tag inside a JSON string is text, unless nothing but whitespace and the end of the
// answer, or the next call, follows it: then the string was never closed. A call without closing
// tag counts if its JSON is complete.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_HERMES_TOOL_PARSER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_HERMES_TOOL_PARSER_H_

#include <optional>
#include <string>

#include "tokenizer_service/output/hermes_call.h"
#include "tokenizer_service/output/tag_matcher.h"
#include "tokenizer_service/output/tool_parser.h"

namespace vallm::tokenizer {

class HermesToolParser : public ToolParser {
 public:
  HermesToolParser();

  void Append(std::string_view text, ToolSink* sink) override;
  void Flush(ToolSink* sink) override;
  bool truncated() const override { return truncated_; }
  std::vector<std::string_view> tags() const override;

 private:
  // What the bytes held back are.
  enum class TagMatch {
    kNone,     // no tag begins like this
    kPartial,  // may become one
    kClose,    // ends the call
    kOpen,     // ends the call and begins the next
  };
  static TagMatch MatchTag(std::string_view held, std::string_view tag, TagMatch whole);
  static TagMatch MatchOutsideString(std::string_view held);
  TagMatch MatchInString();

  void AppendContent(std::string_view* text, ToolSink* sink);
  // One byte of a call, or of content once the call has ended.
  void Step(char c, ToolSink* sink);
  void PushToCall(char c, ToolSink* sink);
  // Handles held_, to which a byte was added.
  void CheckHeld(ToolSink* sink);
  // The tag that held_ amounts to has ended the call.
  void EndCall(ToolSink* sink);
  void BeginCall();
  void EmitStart(ToolSink* sink);
  // The arguments that are new, and the text of the call up to what is held back.
  void EmitArguments(ToolSink* sink);

  TagMatcher open_;
  std::optional<HermesCall> call_;  // while inside a call
  std::string region_;     // the call's text, opening tag included, while it may turn out malformed
  std::string held_;       // behind region_: what may be a tag that ends the call
  size_t unsent_ = 0;      // bytes of the call's text, but for held_, that the sink does not have
  size_t second_tag_ = 0;  // offset in held_ of the opening tag behind a closing tag; 0 if none
  int calls_ = 0;          // begun so far
  bool truncated_ = false;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_HERMES_TOOL_PARSER_H_
