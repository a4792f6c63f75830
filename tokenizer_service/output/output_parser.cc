#include "tokenizer_service/output/output_parser.h"

#include <glog/logging.h>

#include <iterator>
#include <optional>
#include <utility>

#include "common/status_macros.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/output/detokenizer.h"
#include "tokenizer_service/output/reasoning_parser.h"
#include "tokenizer_service/output/reasoning_token_counter.h"
#include "tokenizer_service/output/stop_matcher.h"
#include "tokenizer_service/output/tool_parser.h"
#include "tokenizer_service/output/utf8_assembler.h"
#include "tokenizer_service/output/whitespace_filter.h"

namespace vallm::tokenizer {

struct OutputParser::Impl {
  Impl(const OutputOptions& options, std::unique_ptr<ReasoningParser> reasoning_parser,
       std::unique_ptr<ToolParser> tool_parser)
      : stop(options.stop, options.include_stop_str_in_output),
        reasoning(std::move(reasoning_parser)),
        tools(std::move(tool_parser)),
        whitespace(options.whitespace, /*calls_possible=*/tools != nullptr),
        parallel_tool_calls(options.parallel_tool_calls) {}

  // The stages, in the order that text takes.
  std::optional<Detokenizer> detokenizer;  // for ids
  Utf8Assembler assembler;                 // for bytes
  StopMatcher stop;
  std::unique_ptr<ReasoningParser> reasoning;  // null: everything is content
  std::unique_ptr<ToolParser> tools;           // null: calls are content
  WhitespaceFilter whitespace;

  const bool parallel_tool_calls;
  ReasoningTokenCounter reasoning_tokens;
  int64_t text_bytes = 0;    // out of the detokenizer
  int64_t parsed_bytes = 0;  // into the reasoning parser
  int tool_calls = 0;

  void AppendText(std::string_view text, std::vector<Event>* events);
  void FlushText(std::vector<Event>* events);
  void Parse(std::string_view text, std::vector<Event>* events);
  void Flush(std::vector<Event>* events);
  void Route(const ReasoningSplit& split, std::vector<Event>* events);
  void RouteContent(std::vector<Event> parsed, std::vector<Event>* events);
  void CountReasoning();
};

// Text from the detokenizer.
void OutputParser::Impl::AppendText(std::string_view text, std::vector<Event>* events) {
  text_bytes += static_cast<int64_t>(text.size());
  std::string released;
  stop.Append(text, &released);
  Parse(released, events);
  if (!stop.stopped()) return;
  Flush(events);
  events->push_back({Event::Kind::kStop, stop.matched()});
}

// The detokenizer has no more text: what it held back goes the way of all text.
void OutputParser::Impl::FlushText(std::vector<Event>* events) {
  std::string text;
  if (detokenizer) detokenizer->Flush(&text);
  assembler.Flush(&text);
  AppendText(text, events);
  if (stop.stopped()) return;
  std::string released;
  stop.Flush(&released);
  Parse(released, events);
  Flush(events);
}

// Text from the stop matcher.
void OutputParser::Impl::Parse(std::string_view text, std::vector<Event>* events) {
  if (text.empty()) return;
  parsed_bytes += static_cast<int64_t>(text.size());
  ReasoningSplit split;
  if (reasoning) {
    reasoning->Append(text, &split);
  } else {
    split.content = text;
  }
  Route(split, events);
}

// The stop matcher has no more text.
void OutputParser::Impl::Flush(std::vector<Event>* events) {
  ReasoningSplit split;
  if (reasoning) reasoning->Flush(&split);
  Route(split, events);
  std::vector<Event> parsed;
  if (tools) tools->Flush(&parsed);
  RouteContent(std::move(parsed), events);
  whitespace.Flush(events);
}

void OutputParser::Impl::Route(const ReasoningSplit& split, std::vector<Event>* events) {
  if (!split.reasoning.empty()) {
    whitespace.Append({Event::Kind::kReasoning, split.reasoning}, events);
  }
  CountReasoning();
  if (split.content.empty()) return;
  std::vector<Event> parsed;
  if (tools) {
    tools->Append(split.content, &parsed);
  } else {
    parsed.push_back({Event::Kind::kContent, split.content});
  }
  RouteContent(std::move(parsed), events);
}

void OutputParser::Impl::RouteContent(std::vector<Event> parsed, std::vector<Event>* events) {
  for (const Event& event : parsed) {
    if (event.index > 0 && !parallel_tool_calls) continue;
    if (event.kind == Event::Kind::kToolCallStart) ++tool_calls;
    whitespace.Append(event, events);
  }
}

void OutputParser::Impl::CountReasoning() {
  if (!reasoning) return;
  const std::optional<int64_t> end = reasoning->reasoning_end();
  if (end.value_or(0) > 0) whitespace.SetAfterThink();
  reasoning_tokens.Settle(end.value_or(parsed_bytes), /*ended=*/end.has_value());
}

absl::StatusOr<std::unique_ptr<OutputParser>> OutputParser::Create(const Tokenizer* tokenizer,
                                                                   OutputOptions options) {
  VALLM_RETURN_IF_ERROR(ValidateStopStrings(options.stop));
  std::unique_ptr<ReasoningParser> reasoning;
  if (!options.reasoning_parser.empty()) {
    VALLM_ASSIGN_OR_RETURN(
        reasoning, MakeReasoningParser(options.reasoning_parser, options.prompt_think_state));
  }
  std::unique_ptr<ToolParser> tools;
  if (!options.tool_parser.empty()) {
    VALLM_ASSIGN_OR_RETURN(tools, MakeToolParser(options.tool_parser, options.tools_json));
  }
  if (!options.tools_enabled) tools.reset();

  DetokenizerOptions detokenizer{.skip_special_tokens = options.skip_special_tokens,
                                 .kept_ids = {}};
  std::vector<std::string_view> tags;
  if (reasoning) tags = reasoning->tags();
  if (tools) {
    for (const std::string_view tag : tools->tags()) tags.push_back(tag);
  }
  for (const std::string_view tag : tags) {
    if (tokenizer == nullptr) break;
    if (const auto id = tokenizer->TokenId(tag)) detokenizer.kept_ids.push_back(*id);
  }

  auto impl = std::make_unique<Impl>(options, std::move(reasoning), std::move(tools));
  if (tokenizer != nullptr) impl->detokenizer.emplace(*tokenizer, std::move(detokenizer));
  return std::unique_ptr<OutputParser>(new OutputParser(std::move(impl)));
}

OutputParser::OutputParser(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OutputParser::~OutputParser() = default;

void OutputParser::FeedTokens(std::span<const int32_t> ids, std::vector<Event>* out) {
  CHECK(impl_->detokenizer) << "ids need a tokenizer";
  if (stopped()) return;
  std::string text;
  for (const int32_t id : ids) {
    const int64_t offset = impl_->text_bytes + static_cast<int64_t>(text.size());
    const bool has_text = impl_->detokenizer->Append(id, &text);
    if (has_text && impl_->reasoning) impl_->reasoning_tokens.Add(offset);
  }
  std::vector<Event> events;
  impl_->AppendText(text, &events);
  std::move(events.begin(), events.end(), std::back_inserter(*out));
}

void OutputParser::FeedText(std::string_view bytes, std::vector<Event>* out) {
  if (stopped()) return;
  std::string text;
  impl_->assembler.Append(bytes, &text);
  std::vector<Event> events;
  impl_->AppendText(text, &events);
  std::move(events.begin(), events.end(), std::back_inserter(*out));
}

void OutputParser::Finish(std::string_view engine_finish_reason, std::vector<Event>* out) {
  std::vector<Event> events;
  if (!stopped()) impl_->FlushText(&events);
  std::string reason(stopped() ? "stop" : engine_finish_reason);
  const bool cut_off = reason != "stop" && impl_->tools && impl_->tools->truncated();
  if (impl_->tool_calls > 0 && !cut_off) reason = "tool_calls";
  events.push_back({Event::Kind::kFinish, std::move(reason)});
  std::move(events.begin(), events.end(), std::back_inserter(*out));
}

bool OutputParser::stopped() const { return impl_->stop.stopped(); }

int64_t OutputParser::reasoning_token_count() const { return impl_->reasoning_tokens.count(); }

int OutputParser::tool_call_count() const { return impl_->tool_calls; }

}  // namespace vallm::tokenizer
