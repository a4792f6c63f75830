#include "tokenizer_service/output/whitespace_filter.h"

#include <algorithm>

namespace vallm::tokenizer {
namespace {

std::string_view WithoutLeadingNewlines(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of('\n'), text.size()));
}

std::string_view WithoutTrailingNewlines(std::string_view text) {
  return text.substr(0, text.find_last_not_of('\n') + 1);  // npos + 1 is 0
}

}  // namespace

WhitespaceFilter::WhitespaceFilter(Whitespace whitespace, bool calls_possible, TokenLedger* ledger)
    : whitespace_(whitespace), calls_possible_(calls_possible), ledger_(*ledger) {}

void WhitespaceFilter::Reasoning(std::string_view text) {
  if (!clean()) return Show(Event::Kind::kReasoning, TokenRole::kReasoning, text);
  if (!reasoning_begun_) {
    const std::string_view begun = WithoutLeadingNewlines(text);
    ledger_.Hide(text.size() - begun.size());
    text = begun;
    if (text.empty()) return;
    reasoning_begun_ = true;
  }
  const std::string_view certain = WithoutTrailingNewlines(text);
  if (!certain.empty()) {
    Show(Event::Kind::kReasoning, TokenRole::kReasoning, reasoning_held_);
    Show(Event::Kind::kReasoning, TokenRole::kReasoning, certain);
    reasoning_held_.clear();
  }
  reasoning_held_ += text.substr(certain.size());
}

void WhitespaceFilter::Content(std::string_view text) {
  if (in_gap_) {
    // Without calls only newlines behind a think block are of interest.
    const std::string_view held_back = calls_possible_           ? " \t\r\n"
                                       : after_think_ && clean() ? "\n"
                                                                 : "";
    const size_t gap = std::min(text.find_first_not_of(held_back), text.size());
    content_held_ += text.substr(0, gap);
    text.remove_prefix(gap);
    if (text.empty()) return;
    in_gap_ = false;
  }
  const std::string_view certain =
      clean() && calls_possible_ ? WithoutTrailingNewlines(text) : text;
  if (!certain.empty()) {
    ShowHeld();
    content_begun_ = true;
    Show(Event::Kind::kContent, TokenRole::kContent, certain);
  }
  content_held_ += text.substr(certain.size());
}

void WhitespaceFilter::ShowHeld() {
  std::string_view held = content_held_;
  if (clean() && !content_begun_ && (after_think_ || call_seen_)) {
    held = WithoutLeadingNewlines(held);
  }
  size_t dropped = content_held_.size() - held.size();
  if (hidden_ > dropped) {
    // These bytes were passed over in the ledger when a call came.
    const std::string_view passed = held.substr(0, hidden_ - dropped);
    AppendText(Event::Kind::kContent, passed, /*index=*/0, &events_);
    held.remove_prefix(passed.size());
    dropped = hidden_;
  }
  ledger_.Hide(dropped - hidden_);
  Show(Event::Kind::kContent, TokenRole::kContent, held);
  content_held_.clear();
  hidden_ = 0;
}

void WhitespaceFilter::HideHeld() {
  ledger_.Hide(reasoning_held_.size() + content_held_.size() - hidden_);
  reasoning_held_.clear();
  hidden_ = content_held_.size();
}

void WhitespaceFilter::Markup(size_t bytes) {
  HideHeld();
  ledger_.Hide(bytes);
}

void WhitespaceFilter::Call(int index, std::string_view name) {
  HideHeld();
  if (!content_begun_) {
    content_held_.clear();
    hidden_ = 0;
  }
  call_seen_ = true;
  in_gap_ = true;
  events_.push_back({Event::Kind::kToolCallStart, std::string(name), index});
}

void WhitespaceFilter::Arguments(int index, std::string_view json) {
  AppendText(Event::Kind::kToolArguments, json, index, &events_);
}

void WhitespaceFilter::CallText(size_t bytes) {
  ledger_.Show(TokenRole::kToolCall, bytes);
  TakeTokens();
}

void WhitespaceFilter::Flush() {
  if (call_seen_) return HideHeld();
  ledger_.Hide(reasoning_held_.size());
  reasoning_held_.clear();
  ShowHeld();
}

void WhitespaceFilter::Show(Event::Kind kind, TokenRole role, std::string_view text) {
  if (text.empty()) return;
  AppendText(kind, text, /*index=*/0, &events_);
  ledger_.Show(role, text.size());
  TakeTokens();
}

void WhitespaceFilter::TakeTokens() {
  if (!events_.empty()) ledger_.Take(&events_.back().tokens);
}

}  // namespace vallm::tokenizer
