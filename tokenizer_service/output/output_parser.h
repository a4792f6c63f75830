// Turns what the model generates, token ids or text, into typed events: reasoning, content, tool
// calls, stop. One parser serves one answer:
//
//   ids → Detokenizer → StopMatcher → ReasoningParser → ToolParser → WhitespaceFilter → events
//
// Laws, for every grouping of the same ids and every chunking of the same text:
//   - Fold(all events) is the same;
//   - an event, once given, is never taken back: the text so far is a prefix of the final text.
//
// Tags (<think>, <tool_call>, ...) are kept by token id even where the tokenizer calls them special
// and are found in the text as well, so a model that spells a tag with ordinary tokens is
// understood. Not thread-safe: one thread at a time. Memory: the text held back, i.e. at most the
// stop strings, a tag, a run of whitespace and an undecided tool call.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_OUTPUT_PARSER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_OUTPUT_PARSER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/output/event.h"
#include "tokenizer_service/output/prompt_think_state.h"

namespace vallm::tokenizer {

// What becomes of the line breaks that the chat template writes around tags.
enum class Whitespace {
  // They are markup and are removed: reasoning loses leading and trailing newlines, content after a
  // think block its leading newlines, content beside tool calls the newlines next to the calls and
  // at its end. Newlines before content that text follows stay when no think block stands before
  // them: a stream cannot know yet whether a call will come.
  kClean,
  // Every byte is kept, as vLLM does; only whitespace that would be all the content beside tool
  // calls, or that follows a call without more text, is dropped.
  kVerbatim,
};

struct OutputOptions {
  std::string reasoning_parser;  // "qwen3", "deepseek_r1"; empty: no reasoning is split off
  std::string tool_parser;       // "hermes", "qwen3_coder"; empty: calls stay text
  // The tools, a JSON array of OpenAI definitions; read by qwen3_coder, which has no types of its
  // own. Empty: every parameter is a string.
  std::string tools_json;
  bool tools_enabled = false;  // tools were given and tool_choice is not "none"
  PromptThinkState prompt_think_state = PromptThinkState::kNone;
  Whitespace whitespace = Whitespace::kClean;
  bool skip_special_tokens = true;          // tags of the active parsers are kept all the same
  std::vector<std::string> stop;            // matched in the raw text, reasoning included
  bool include_stop_str_in_output = false;  // the stop string is the end of the answer's text
  // Stop strings that are complete within the text of so many ids do not count.
  int64_t min_tokens = 0;
  bool parallel_tool_calls = true;  // false: calls after the first are dropped
};

class OutputParser {
 public:
  // `tokens` must outlive the parser; it may be null where only text is fed.
  // Errors: INVALID_ARGUMENT for an unknown parser name (the message lists the known ones), for a
  // stop string that is empty or not UTF-8, and for tools that are read and are not a JSON array.
  static absl::StatusOr<std::unique_ptr<OutputParser>> Create(const TokenTable* tokens,
                                                              OutputOptions options);
  ~OutputParser();
  OutputParser(const OutputParser&) = delete;
  OutputParser& operator=(const OutputParser&) = delete;

  // Append the events that the ids or the bytes make certain to *out; adjacent pieces of one kind
  // are merged. Ids outside the vocabulary have no text. Bytes need not end at a character border.
  // After stopped() input is ignored. REQUIRES: Finish was not called; a table for FeedTokens;
  // one of the two is used throughout.
  void FeedTokens(std::span<const int32_t> ids, std::vector<Event>* out);
  void FeedText(std::string_view bytes, std::vector<Event>* out);

  // Ends the answer: releases what was held back, then kFinish. The final reason is "tool_calls"
  // when a call was delivered, unless the engine was cut off (its reason is not "stop") inside a
  // call; else "stop" after a stop string; else `engine_finish_reason`.
  // REQUIRES: called once.
  void Finish(std::string_view engine_finish_reason, std::vector<Event>* out);

  // A stop string was hit: generation can be aborted.
  bool stopped() const;

  // Ids fed so far that carry text of the think block, its tags included. 0 where text is fed.
  int64_t reasoning_token_count() const;

  // Bytes of the text so far that are neither in an event nor known to be in none; those of an
  // unfinished character do not count.
  int64_t held_bytes() const;

  // Calls delivered so far.
  int tool_call_count() const;

 private:
  struct Impl;
  explicit OutputParser(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

// The names OutputOptions takes, sorted.
std::vector<std::string> ReasoningParserNames();
std::vector<std::string> ToolParserNames();

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_OUTPUT_PARSER_H_
