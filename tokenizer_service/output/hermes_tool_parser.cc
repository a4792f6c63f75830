#include "tokenizer_service/output/hermes_tool_parser.h"

#include <string>
#include <utility>

namespace vallm::tokenizer {
namespace {

constexpr std::string_view kOpenTag = "<tool_call>";
constexpr std::string_view kCloseTag = "</tool_call>";

void SendContent(std::string_view text, ToolSink* sink) {
  if (!text.empty()) sink->OnContent(text);
}

}  // namespace

HermesToolParser::HermesToolParser() : open_(kOpenTag) {}

std::vector<std::string_view> HermesToolParser::tags() const { return {kOpenTag, kCloseTag}; }

void HermesToolParser::Append(std::string_view text, ToolSink* sink) {
  while (!text.empty()) {
    if (!call_) {
      AppendContent(&text, sink);
    } else {
      Step(text.front(), sink);
      text.remove_prefix(1);
    }
  }
  if (call_ && call_->committed()) EmitArguments(sink);
}

void HermesToolParser::AppendContent(std::string_view* text, ToolSink* sink) {
  std::string before;
  const bool found = open_.Find(text, &before);
  SendContent(before, sink);
  if (found) BeginCall();
}

void HermesToolParser::BeginCall() {
  call_.emplace();
  region_ = kOpenTag;
  unsent_ = kOpenTag.size();
}

void HermesToolParser::Step(char c, ToolSink* sink) {
  if (!call_) {
    std::string_view text(&c, 1);
    AppendContent(&text, sink);
  } else if (held_.empty() && c != '<') {
    PushToCall(c, sink);
  } else {
    held_ += c;
    CheckHeld(sink);
  }
}

void HermesToolParser::PushToCall(char c, ToolSink* sink) {
  const bool was_committed = call_->committed();
  call_->Push(c);
  ++unsent_;
  if (call_->committed()) {
    if (!was_committed) EmitStart(sink);
    return;
  }
  region_ += c;
  if (!call_->malformed()) return;
  SendContent(region_, sink);
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

void HermesToolParser::CheckHeld(ToolSink* sink) {
  const TagMatch match = call_->in_string() ? MatchInString() : MatchOutsideString(held_);
  if (match == TagMatch::kPartial) return;
  second_tag_ = 0;
  if (match != TagMatch::kNone) {
    if (match == TagMatch::kOpen) held_.resize(held_.size() - kOpenTag.size());
    EndCall(sink);
    if (match == TagMatch::kOpen) BeginCall();
    return;
  }
  // No tag. The bytes are the call's, but for a later '<' that may begin a tag of its own.
  const std::string held = std::exchange(held_, std::string());
  const size_t later = held.rfind('<');
  const size_t certain = later == 0 ? held.size() : later;
  for (size_t i = 0; i < held.size(); ++i) {
    if (i < certain && call_) {
      PushToCall(held[i], sink);
    } else {
      Step(held[i], sink);
    }
  }
}

void HermesToolParser::EndCall(ToolSink* sink) {
  if (call_->committed() || call_->valid()) {
    if (!call_->committed()) EmitStart(sink);
    unsent_ += held_.size();
    EmitArguments(sink);
  } else {
    SendContent(region_ + held_, sink);
  }
  call_.reset();
  held_.clear();
}

void HermesToolParser::Flush(ToolSink* sink) {
  if (!call_) {
    std::string before;
    open_.Flush(&before);
    SendContent(before, sink);
    return;
  }
  const bool closed = held_.starts_with(kCloseTag);
  truncated_ = !closed && !call_->complete();
  if (!closed && call_->committed() && call_->in_string()) {
    // What looked like a tag is the end of a string that was cut off.
    for (const char c : held_) call_->Push(c);
  }
  EndCall(sink);
}

void HermesToolParser::EmitStart(ToolSink* sink) { sink->OnCall(calls_++, call_->name()); }

void HermesToolParser::EmitArguments(ToolSink* sink) {
  const std::string arguments = call_->TakeArguments();
  if (!arguments.empty()) sink->OnArguments(calls_ - 1, arguments);
  sink->OnCallText(calls_ - 1, std::exchange(unsent_, 0));
}

}  // namespace vallm::tokenizer
