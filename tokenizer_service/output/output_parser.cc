#include "tokenizer_service/output/output_parser.h"

#include <glog/logging.h>

#include <iterator>
#include <optional>
#include <utility>

#include "common/status_macros.h"
#include "tokenizer_service/bpe/token_table.h"
#include "tokenizer_service/output/detokenizer.h"
#include "tokenizer_service/output/reasoning_parser.h"
#include "tokenizer_service/output/reasoning_token_counter.h"
#include "tokenizer_service/output/stop_matcher.h"
#include "tokenizer_service/output/token_ledger.h"
#include "tokenizer_service/output/tool_parser.h"
#include "tokenizer_service/output/utf8_assembler.h"
#include "tokenizer_service/output/whitespace_filter.h"

namespace vallm::tokenizer {

struct OutputParser::Impl final : ToolSink {
  Impl(const OutputOptions& options, std::unique_ptr<ReasoningParser> reasoning_parser,
       std::unique_ptr<ToolParser> tool_parser)
      : stop(options.stop, options.include_stop_str_in_output),
        reasoning(std::move(reasoning_parser)),
        tools(std::move(tool_parser)),
        whitespace(options.whitespace, /*calls_possible=*/tools != nullptr, &ledger),
        include_stop(options.include_stop_str_in_output),
        parallel_tool_calls(options.parallel_tool_calls),
        min_tokens(options.min_tokens) {
    stop.SetArmed(min_tokens == 0);
  }

  // The stages, in the order that text takes.
  std::optional<Detokenizer> detokenizer;  // for ids
  Utf8Assembler assembler;                 // for bytes
  StopMatcher stop;
  std::unique_ptr<ReasoningParser> reasoning;  // null: everything is content
  std::unique_ptr<ToolParser> tools;           // null: calls are content
  TokenLedger ledger;
  WhitespaceFilter whitespace;

  const bool include_stop;
  const bool parallel_tool_calls;
  const int64_t min_tokens;
  ReasoningTokenCounter reasoning_tokens;
  int64_t token_count = 0;   // into the detokenizer
  int64_t text_bytes = 0;    // out of the detokenizer
  int64_t parsed_bytes = 0;  // into the reasoning parser
  int tool_calls = 0;
  std::string released;  // by the stop matcher; kept for its memory

  void Feed(std::string_view text);
  void FlushText();
  void Parse(std::string_view text);
  void Flush();
  void Route(const ReasoningSplit& split);
  void RouteContent(std::string_view text);
  void CountReasoning();
  // Ends the events made so far with one of the answer's end, and the tokens that belong to it.
  void AddEnd(Event::Kind kind, std::string text);
  // Moves the events made so far to *out.
  void Deliver(std::vector<Event>* out);

  bool Dropped(int call) const { return call > 0 && !parallel_tool_calls; }
  void OnContent(std::string_view text) override { whitespace.Content(text); }
  void OnCall(int index, std::string_view name) override;
  void OnArguments(int index, std::string_view json) override;
  void OnCallText(int index, size_t bytes) override;
};

// Text from the detokenizer.
void OutputParser::Impl::Feed(std::string_view text) {
  text_bytes += static_cast<int64_t>(text.size());
  released.clear();
  stop.Append(text, &released);
  Parse(released);
  if (!stop.stopped()) return;
  Flush();
  ledger.Stop(include_stop ? 0 : stop.matched().size());
  AddEnd(Event::Kind::kStop, stop.matched());
}

// The detokenizer has no more text: what it held back goes the way of all text.
void OutputParser::Impl::FlushText() {
  std::string text;
  if (detokenizer) detokenizer->Flush(&text);
  assembler.Flush(&text);
  Feed(text);
  if (stop.stopped()) return;
  released.clear();
  stop.Flush(&released);
  Parse(released);
  Flush();
}

// Text from the stop matcher.
void OutputParser::Impl::Parse(std::string_view text) {
  if (text.empty()) return;
  parsed_bytes += static_cast<int64_t>(text.size());
  if (!reasoning) return RouteContent(text);
  ReasoningSplit split;
  reasoning->Append(text, &split);
  Route(split);
}

// The stop matcher has no more text.
void OutputParser::Impl::Flush() {
  if (reasoning) {
    ReasoningSplit split;
    reasoning->Flush(&split);
    Route(split);
  }
  if (tools) tools->Flush(this);
  whitespace.Flush();
}

void OutputParser::Impl::Route(const ReasoningSplit& split) {
  if (split.open_bytes > 0) whitespace.Markup(split.open_bytes);
  if (!split.reasoning.empty()) whitespace.Reasoning(split.reasoning);
  if (split.close_bytes > 0) whitespace.Markup(split.close_bytes);
  CountReasoning();
  if (!split.content.empty()) RouteContent(split.content);
}

void OutputParser::Impl::RouteContent(std::string_view text) {
  if (tools) {
    tools->Append(text, this);
  } else {
    whitespace.Content(text);
  }
}

void OutputParser::Impl::OnCall(int index, std::string_view name) {
  if (Dropped(index)) return;
  ++tool_calls;
  whitespace.Call(index, name);
}

void OutputParser::Impl::OnArguments(int index, std::string_view json) {
  if (!Dropped(index)) whitespace.Arguments(index, json);
}

void OutputParser::Impl::OnCallText(int index, size_t bytes) {
  if (Dropped(index)) {
    whitespace.Markup(bytes);
  } else {
    whitespace.CallText(bytes);
  }
}

void OutputParser::Impl::AddEnd(Event::Kind kind, std::string text) {
  Event& event = whitespace.events().emplace_back();
  event.kind = kind;
  event.text = std::move(text);
  ledger.Take(&event.tokens);
}

void OutputParser::Impl::Deliver(std::vector<Event>* out) {
  std::vector<Event>& events = whitespace.events();
  std::move(events.begin(), events.end(), std::back_inserter(*out));
  events.clear();
}

void OutputParser::Impl::CountReasoning() {
  if (!reasoning || reasoning->undecided()) return;
  const std::optional<int64_t> end = reasoning->reasoning_end();
  if (end.value_or(0) > 0) whitespace.SetAfterThink();
  reasoning_tokens.Settle(end.value_or(parsed_bytes), /*ended=*/end.has_value());
}

absl::StatusOr<std::unique_ptr<OutputParser>> OutputParser::Create(const TokenTable* tokens,
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
    if (tokens == nullptr) break;
    if (const auto id = tokens->TokenId(tag)) detokenizer.kept_ids.push_back(*id);
  }

  auto impl = std::make_unique<Impl>(options, std::move(reasoning), std::move(tools));
  if (tokens != nullptr) impl->detokenizer.emplace(*tokens, std::move(detokenizer));
  return std::unique_ptr<OutputParser>(new OutputParser(std::move(impl)));
}

OutputParser::OutputParser(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OutputParser::~OutputParser() = default;

void OutputParser::FeedTokens(std::span<const int32_t> ids, std::vector<Event>* out) {
  CHECK(impl_->detokenizer) << "ids need a table";
  if (stopped()) return;
  std::string text;
  for (const int32_t id : ids) {
    if (++impl_->token_count == impl_->min_tokens + 1) {
      impl_->Feed(std::exchange(text, {}));
      impl_->stop.SetArmed(true);
    }
    const Detokenizer::Extent extent = impl_->detokenizer->Append(id, &text);
    const int64_t begin = impl_->text_bytes + static_cast<int64_t>(extent.begin);
    impl_->ledger.Add(begin, impl_->text_bytes + static_cast<int64_t>(extent.end));
    if (extent.end > extent.begin && impl_->reasoning) impl_->reasoning_tokens.Add(begin);
  }
  impl_->Feed(text);
  impl_->Deliver(out);
}

void OutputParser::FeedText(std::string_view bytes, std::vector<Event>* out) {
  if (stopped()) return;
  std::string text;
  impl_->assembler.Append(bytes, &text);
  impl_->Feed(text);
  impl_->Deliver(out);
}

void OutputParser::Finish(std::string_view engine_finish_reason, std::vector<Event>* out) {
  if (!stopped()) impl_->FlushText();
  std::string reason(stopped() ? "stop" : engine_finish_reason);
  const bool cut_off = reason != "stop" && impl_->tools && impl_->tools->truncated();
  if (impl_->tool_calls > 0 && !cut_off) reason = "tool_calls";
  impl_->ledger.Finish();
  impl_->AddEnd(Event::Kind::kFinish, std::move(reason));
  impl_->Deliver(out);
}

bool OutputParser::stopped() const { return impl_->stop.stopped(); }

int64_t OutputParser::reasoning_token_count() const { return impl_->reasoning_tokens.count(); }

int64_t OutputParser::held_bytes() const {
  return stopped() ? 0 : impl_->text_bytes - impl_->ledger.settled();
}

int OutputParser::tool_call_count() const { return impl_->tool_calls; }

}  // namespace vallm::tokenizer
