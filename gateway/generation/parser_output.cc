#include "gateway/generation/parser_output.h"

#include <algorithm>
#include <utility>

#include "common/status_macros.h"

namespace vallm::gateway {
namespace {

using Kind = GenerationEvent::Kind;

// The kind, text and tool of events that have them.
bool ReadText(v1::ParseEvent& event, GenerationEvent* out) {
  switch (event.event_case()) {
    case v1::ParseEvent::kReasoning:
      out->kind = Kind::kReasoning;
      out->text = std::move(*event.mutable_reasoning());
      return true;
    case v1::ParseEvent::kContent:
      out->kind = Kind::kContent;
      out->text = std::move(*event.mutable_content());
      return true;
    case v1::ParseEvent::kToolCallStart:
      out->kind = Kind::kToolCallStart;
      out->tool_index = event.tool_call_start().index();
      out->text = std::move(*event.mutable_tool_call_start()->mutable_name());
      return true;
    case v1::ParseEvent::kToolCallArguments:
      out->kind = Kind::kToolCallArguments;
      out->tool_index = event.tool_call_arguments().index();
      out->text = std::move(*event.mutable_tool_call_arguments()->mutable_text());
      return true;
    default:
      return false;
  }
}

// A call begins with one event, whole; all other text may come in pieces of any size.
bool InPieces(Kind kind) { return kind != Kind::kToolCallStart; }

}  // namespace

void ParserOutput::Restart() {
  stream_answered_ = 0;
  stream_listed_ = 0;
  segment_ = 0;
  segment_bytes_ = 0;
}

int ParserOutput::AddAnswer(int count) {
  stream_answered_ += count;
  const auto fresh = static_cast<int>(std::max<int64_t>(stream_answered_ - answered_, 0));
  answered_ += fresh;
  if (!stopped()) parsed_ += fresh;
  return fresh;
}

absl::Status ParserOutput::Add(v1::ParseEvent&& event, const EngineOutput& engine,
                               std::vector<GenerationEvent>* out) {
  TakeLogprobs(event, engine);
  GenerationEvent next;
  next.choice = choice_;
  next.usage.completion_tokens = parsed_;
  if (ReadText(event, &next)) {
    VALLM_ASSIGN_OR_RETURN(const bool fresh, SkipKnown(&next));
    if (!fresh) return absl::OkStatus();
    Remember(next);
  } else if (event.has_stop_hit()) {
    stop_hit_ = std::move(*event.mutable_stop_hit()->mutable_stop());
    return absl::OkStatus();
  } else if (event.has_finish()) {
    next = FinishEvent(std::move(*event.mutable_finish()), engine);
    finished_ = true;
  } else {
    return absl::OkStatus();  // an event of a newer tokenizer
  }
  next.logprobs = std::exchange(unsent_logprobs_, {});
  out->push_back(std::move(next));
  return absl::OkStatus();
}

absl::StatusOr<bool> ParserOutput::SkipKnown(GenerationEvent* event) {
  if (segment_ == segments_.size()) return true;
  if (InPieces(event->kind) && event->text.empty()) return false;
  while (segment_ < segments_.size()) {
    const Segment& known = segments_[segment_];
    const size_t left = known.bytes - segment_bytes_;
    if (known.kind != event->kind || known.tool_index != event->tool_index ||
        (!InPieces(known.kind) && event->text.size() != left)) {
      return absl::InternalError("the tokenizer service parsed the same tokens in another way");
    }
    const size_t skipped = std::min(left, event->text.size());
    event->text.erase(0, skipped);
    segment_bytes_ += skipped;
    if (skipped < left) return false;
    ++segment_;
    segment_bytes_ = 0;
    if (event->text.empty()) return false;
  }
  return true;
}

void ParserOutput::Remember(const GenerationEvent& event) {
  if (InPieces(event.kind) && event.text.empty()) return;
  Segment* last = segments_.empty() ? nullptr : &segments_.back();
  if (last != nullptr && InPieces(event.kind) && last->kind == event.kind &&
      last->tool_index == event.tool_index) {
    last->bytes += event.text.size();
  } else {
    segments_.push_back({event.kind, event.tool_index, event.text.size()});
  }
  segment_ = segments_.size();
  segment_bytes_ = 0;
}

void ParserOutput::TakeLogprobs(const v1::ParseEvent& event, const EngineOutput& engine) {
  for (const v1::TokenRun& run : event.token_runs()) {
    const bool shows =
        run.role() == v1::TOKEN_ROLE_CONTENT || run.role() == v1::TOKEN_ROLE_REASONING;
    const int64_t end = stream_listed_ + run.token_count();
    stream_listed_ = end;
    for (; listed_ < end; ++listed_) {
      const auto index = static_cast<size_t>(listed_);
      if (index >= engine.logprobs().size()) continue;
      unsent_logprobs_.push_back(engine.logprobs()[index]);
      unsent_logprobs_.back().shows = shows;
    }
  }
}

GenerationEvent ParserOutput::FinishEvent(v1::ParseFinish&& finish,
                                          const EngineOutput& engine) const {
  GenerationEvent event;
  event.choice = choice_;
  event.kind = Kind::kFinish;
  event.text = std::move(*finish.mutable_finish_reason());
  event.prompt_logprobs = engine.prompt_logprobs();
  if (stop_hit_.has_value()) {
    event.stop_reason = *stop_hit_;
  } else if (engine.stop_token_id().has_value()) {
    event.stop_reason = *engine.stop_token_id();
  }
  event.usage.prompt_tokens = engine.request().prompt_token_ids().ids_size();
  event.usage.cached_tokens = engine.cached_tokens();
  event.usage.draft_tokens = engine.draft_tokens();
  event.usage.accepted_draft_tokens = engine.accepted_draft_tokens();
  event.usage.completion_tokens = parsed_;
  event.usage.reasoning_tokens = std::min(finish.reasoning_token_count(), parsed_);
  return event;
}

}  // namespace vallm::gateway
