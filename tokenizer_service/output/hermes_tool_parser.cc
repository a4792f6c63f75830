#include "tokenizer_service/output/hermes_tool_parser.h"

#include <utility>

namespace vallm::tokenizer {
namespace {

constexpr std::string_view kOpenTag = "<tool_call>";
constexpr std::string_view kCloseTag = "</tool_call>";

}  // namespace

HermesToolParser::HermesToolParser() : open_(kOpenTag) {}

std::vector<std::string_view> HermesToolParser::tags() const { return {kOpenTag, kCloseTag}; }

void HermesToolParser::Append(std::string_view text, std::vector<Event>* events) {
  while (!text.empty()) {
    if (!call_) {
      AppendContent(&text, events);
    } else {
      Step(text.front(), events);
      text.remove_prefix(1);
    }
  }
  if (call_ && call_->committed()) EmitArguments(events);
}

void HermesToolParser::AppendContent(std::string_view* text, std::vector<Event>* events) {
  std::string before;
  const bool found = open_.Find(text, &before);
  AppendText(Event::Kind::kContent, before, /*index=*/0, events);
  if (found) BeginCall();
}

void HermesToolParser::BeginCall() {
  call_.emplace();
  region_ = kOpenTag;
}

void HermesToolParser::Step(char c, std::vector<Event>* events) {
  if (!call_) {
    std::string_view text(&c, 1);
    AppendContent(&text, events);
  } else if (held_.empty() && c != '<') {
    PushToCall(c, events);
  } else {
    held_ += c;
    CheckHeld(events);
  }
}

void HermesToolParser::PushToCall(char c, std::vector<Event>* events) {
  const bool was_committed = call_->committed();
  call_->Push(c);
  if (call_->committed()) {
    if (!was_committed) EmitStart(events);
    return;
  }
  region_ += c;
  if (!call_->malformed()) return;
  AppendText(Event::Kind::kContent, region_, /*index=*/0, events);
  call_.reset();
}

HermesToolParser::TagMatch HermesToolParser::MatchTag(std::string_view held, std::string_view tag,
                                                      TagMatch whole) {
  if (held == tag) return whole;
  return tag.starts_with(held) ? TagMatch::kPartial : TagMatch::kNone;
}

// Outside strings '<' can only begin a tag.
HermesToolParser::TagMatch HermesToolParser::MatchOutsideString(std::string_view held) {
  const TagMatch close = MatchTag(held, kCloseTag, TagMatch::kClose);
  return close != TagMatch::kNone ? close : MatchTag(held, kOpenTag, TagMatch::kOpen);
}

// Inside a string a closing tag counts only with the next opening tag behind it, and whitespace
// between them. Looks at the last byte and the tag it belongs to: the rest was looked at before.
HermesToolParser::TagMatch HermesToolParser::MatchInString() {
  if (second_tag_ > 0) {
    return MatchTag(std::string_view(held_).substr(second_tag_), kOpenTag, TagMatch::kOpen);
  }
  if (held_.size() <= kCloseTag.size()) return MatchTag(held_, kCloseTag, TagMatch::kPartial);
  if (held_.back() == '<') second_tag_ = held_.size() - 1;
  return second_tag_ > 0 || IsJsonSpace(held_.back()) ? TagMatch::kPartial : TagMatch::kNone;
}

void HermesToolParser::CheckHeld(std::vector<Event>* events) {
  const TagMatch match = call_->in_string() ? MatchInString() : MatchOutsideString(held_);
  if (match == TagMatch::kPartial) return;
  second_tag_ = 0;
  if (match != TagMatch::kNone) {
    if (match == TagMatch::kOpen) held_.resize(held_.size() - kOpenTag.size());
    EndCall(events);
    if (match == TagMatch::kOpen) BeginCall();
    return;
  }
  // No tag. The bytes are the call's, but for a later '<' that may begin a tag of its own.
  const std::string held = std::exchange(held_, std::string());
  const size_t later = held.rfind('<');
  const size_t certain = later == 0 ? held.size() : later;
  for (size_t i = 0; i < held.size(); ++i) {
    if (i < certain && call_) {
      PushToCall(held[i], events);
    } else {
      Step(held[i], events);
    }
  }
}

void HermesToolParser::EndCall(std::vector<Event>* events) {
  if (call_->committed()) {
    EmitArguments(events);
  } else if (call_->valid()) {
    EmitStart(events);
    EmitArguments(events);
  } else {
    AppendText(Event::Kind::kContent, region_ + held_, /*index=*/0, events);
  }
  call_.reset();
  held_.clear();
}

void HermesToolParser::Flush(std::vector<Event>* events) {
  if (!call_) {
    std::string before;
    open_.Flush(&before);
    AppendText(Event::Kind::kContent, before, /*index=*/0, events);
    return;
  }
  const bool closed = held_.starts_with(kCloseTag);
  truncated_ = !closed && !call_->complete();
  if (!closed && call_->committed() && call_->in_string()) {
    // What looked like a tag is the end of a string that was cut off.
    for (const char c : held_) call_->Push(c);
  }
  EndCall(events);
}

void HermesToolParser::EmitStart(std::vector<Event>* events) {
  events->push_back({Event::Kind::kToolCallStart, call_->name(), calls_++});
}

void HermesToolParser::EmitArguments(std::vector<Event>* events) {
  AppendText(Event::Kind::kToolArguments, call_->TakeArguments(), calls_ - 1, events);
}

}  // namespace vallm::tokenizer
