#include "gateway/generation/answer_parser.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::gateway {
namespace {

using Kind = GenerationEvent::Kind;
using tokenizer::Event;
using tokenizer::TokenRole;

// Far above any tool call that is meant, far below what thousands of answers could not afford.
constexpr int64_t kMaxHeldBytes = int64_t{4} << 20;

// Of events that have text.
Kind KindOf(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::kReasoning:
      return Kind::kReasoning;
    case Event::Kind::kToolCallStart:
      return Kind::kToolCallStart;
    case Event::Kind::kToolArguments:
      return Kind::kToolCallArguments;
    case Event::Kind::kFinish:
      return Kind::kFinish;
    case Event::Kind::kContent:
    case Event::Kind::kStop:
      break;
  }
  return Kind::kContent;
}

}  // namespace

absl::StatusOr<std::unique_ptr<AnswerParser>> AnswerParser::Create(
    int choice, std::shared_ptr<const tokenizer::TokenTable> texts,
    tokenizer::OutputOptions options, bool with_ids) {
  std::unique_ptr<AnswerParser> parser(
      new AnswerParser(choice, std::move(texts), !options.stop.empty(), with_ids));
  VALLM_ASSIGN_OR_RETURN(parser->parser_,
                         tokenizer::OutputParser::Create(parser->texts_.get(), std::move(options)));
  return parser;
}

AnswerParser::AnswerParser(int choice, std::shared_ptr<const tokenizer::TokenTable> texts,
                           bool has_stop_strings, bool with_ids)
    : choice_(choice),
      texts_(std::move(texts)),
      one_by_one_(has_stop_strings),
      with_ids_(with_ids) {}

absl::Status AnswerParser::Parse(const EngineOutput& engine, std::vector<GenerationEvent>* out) {
  const std::span<const int32_t> ids = engine.ids();
  std::vector<Event> events;
  while (static_cast<size_t>(parsed_) < ids.size() && !stopped()) {
    const auto begin = static_cast<size_t>(parsed_);
    const size_t count = one_by_one_ ? 1 : ids.size() - begin;
    parsed_ += static_cast<int64_t>(count);
    parser_->FeedTokens(ids.subspan(begin, count), &events);
    if (parser_->held_bytes() > kMaxHeldBytes) {
      return absl::ResourceExhaustedError(absl::StrCat(
          parser_->held_bytes(),
          " bytes of the answer wait for the end of a tool call or a line; the limit is ",
          kMaxHeldBytes));
    }
    for (Event& event : events) Take(std::move(event), engine, out);
    events.clear();
  }
  if (finished_ || (engine.finish_reason().empty() && !stopped())) return absl::OkStatus();
  finished_ = true;
  parser_->Finish(stopped() ? "stop" : engine.finish_reason(), &events);
  for (Event& event : events) Take(std::move(event), engine, out);
  return absl::OkStatus();
}

void AnswerParser::Take(Event&& event, const EngineOutput& engine,
                        std::vector<GenerationEvent>* out) {
  TakeTokens(event, engine);
  if (event.kind == Event::Kind::kStop) {
    stop_hit_ = std::move(event.text);
    return;
  }
  GenerationEvent next;
  next.choice = choice_;
  next.kind = KindOf(event.kind);
  next.text = std::move(event.text);
  next.tool_index = event.index;
  next.usage.completion_tokens = parsed_;
  next.logprobs = std::exchange(unsent_logprobs_, {});
  next.token_ids = std::exchange(unsent_ids_, {});
  if (next.kind == Kind::kFinish) SetFinish(engine, &next);
  out->push_back(std::move(next));
}

void AnswerParser::TakeTokens(const Event& event, const EngineOutput& engine) {
  for (const tokenizer::TokenRun& run : event.tokens) {
    const bool shows = run.role == TokenRole::kContent || run.role == TokenRole::kReasoning;
    for (const int64_t end = listed_ + run.count; listed_ < end; ++listed_) {
      const auto index = static_cast<size_t>(listed_);
      if (with_ids_ && index < engine.ids().size()) unsent_ids_.push_back(engine.ids()[index]);
      if (index >= engine.logprobs().size()) continue;
      unsent_logprobs_.push_back(engine.logprobs()[index]);
      unsent_logprobs_.back().shows = shows;
    }
  }
}

void AnswerParser::SetFinish(const EngineOutput& engine, GenerationEvent* event) const {
  event->prompt_logprobs = engine.prompt_logprobs();
  if (stop_hit_.has_value()) {
    event->stop_reason = *stop_hit_;
  } else if (engine.stop_token_id().has_value()) {
    event->stop_reason = *engine.stop_token_id();
  }
  event->usage.prompt_tokens = engine.request().prompt_token_ids().ids_size();
  event->usage.cached_tokens = engine.cached_tokens();
  event->usage.draft_tokens = engine.draft_tokens();
  event->usage.accepted_draft_tokens = engine.accepted_draft_tokens();
  event->usage.reasoning_tokens = std::min(parser_->reasoning_token_count(), parsed_);
}

}  // namespace vallm::gateway
