#include "tokenizer_service/output/think_tag_parser.h"

#include <algorithm>
#include <utility>

namespace vallm::tokenizer {
namespace {

constexpr std::string_view kOpenTag = "<think>";
constexpr std::string_view kCloseTag = "</think>";
constexpr std::string_view kWhitespace = " \t\r\n";

}  // namespace

ThinkTagParser::ThinkTagParser(PromptThinkState state)
    : state_(state == PromptThinkState::kClosed ? State::kContent : State::kLead),
      needs_open_tag_(state == PromptThinkState::kUnaware),
      close_(kCloseTag) {
  if (state_ == State::kContent) reasoning_end_ = 0;
}

std::vector<std::string_view> ThinkTagParser::tags() const { return {kOpenTag, kCloseTag}; }

void ThinkTagParser::Append(std::string_view text, ReasoningSplit* split) {
  consumed_ += static_cast<int64_t>(text.size());
  switch (state_) {
    case State::kLead:
      return AppendLead(text, split);
    case State::kReasoning:
      return AppendReasoning(text, split);
    case State::kContent:
      split->content += text;
  }
}

void ThinkTagParser::AppendLead(std::string_view text, ReasoningSplit* split) {
  lead_ += text;
  lead_whitespace_ = std::min(lead_.find_first_not_of(kWhitespace, lead_whitespace_), lead_.size());
  const std::string_view rest = std::string_view(lead_).substr(lead_whitespace_);
  if (rest.size() < kOpenTag.size() && kOpenTag.starts_with(rest)) return;
  const std::string lead = std::move(lead_);
  lead_.clear();
  const bool opened = std::string_view(lead).substr(lead_whitespace_).starts_with(kOpenTag);
  if (needs_open_tag_ && !opened) {
    state_ = State::kContent;
    reasoning_end_ = 0;
    split->content += lead;
    return;
  }
  state_ = State::kReasoning;
  const size_t open_bytes = opened ? lead_whitespace_ + kOpenTag.size() : 0;
  split->open_bytes += open_bytes;
  AppendReasoning(std::string_view(lead).substr(open_bytes), split);
}

void ThinkTagParser::AppendReasoning(std::string_view text, ReasoningSplit* split) {
  if (!close_.Find(&text, &split->reasoning)) return;
  state_ = State::kContent;
  reasoning_end_ = consumed_ - static_cast<int64_t>(text.size());
  split->close_bytes += kCloseTag.size();
  split->content += text;
}

void ThinkTagParser::Flush(ReasoningSplit* split) {
  if (state_ == State::kLead && needs_open_tag_) {
    state_ = State::kContent;
    reasoning_end_ = 0;
    split->content += lead_;
  } else {
    split->reasoning += lead_;
  }
  lead_.clear();
  close_.Flush(&split->reasoning);
}

}  // namespace vallm::tokenizer
