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

WhitespaceFilter::WhitespaceFilter(Whitespace whitespace, bool calls_possible)
    : whitespace_(whitespace), calls_possible_(calls_possible) {}

void WhitespaceFilter::Append(const Event& event, std::vector<Event>* events) {
  switch (event.kind) {
    case Event::Kind::kReasoning:
      return AppendReasoning(event.text, events);
    case Event::Kind::kContent:
      return AppendContent(event.text, events);
    case Event::Kind::kToolCallStart:
      BeginCall();
      break;
    default:
      break;
  }
  events->push_back(event);
}

void WhitespaceFilter::AppendReasoning(std::string_view text, std::vector<Event>* events) {
  if (clean()) {
    if (!reasoning_begun_) text = WithoutLeadingNewlines(text);
    if (text.empty()) return;
    reasoning_begun_ = true;
    const std::string_view certain = WithoutTrailingNewlines(text);
    if (!certain.empty()) {
      AppendText(Event::Kind::kReasoning, reasoning_held_, /*index=*/0, events);
      reasoning_held_.clear();
    }
    reasoning_held_ += text.substr(certain.size());
    text = certain;
  }
  AppendText(Event::Kind::kReasoning, text, /*index=*/0, events);
}

void WhitespaceFilter::AppendContent(std::string_view text, std::vector<Event>* events) {
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
    std::string_view held = content_held_;
    if (clean() && !content_begun_ && (after_think_ || call_seen_)) {
      held = WithoutLeadingNewlines(held);
    }
    content_begun_ = true;
    AppendText(Event::Kind::kContent, held, /*index=*/0, events);
    AppendText(Event::Kind::kContent, certain, /*index=*/0, events);
    content_held_.clear();
  }
  content_held_ += text.substr(certain.size());
}

void WhitespaceFilter::BeginCall() {
  if (!content_begun_) content_held_.clear();
  call_seen_ = true;
  in_gap_ = true;
}

void WhitespaceFilter::Flush(std::vector<Event>* events) {
  if (call_seen_) return;
  std::string_view held = content_held_;
  if (clean() && !content_begun_ && after_think_) held = WithoutLeadingNewlines(held);
  AppendText(Event::Kind::kContent, held, /*index=*/0, events);
  content_held_.clear();
}

}  // namespace vallm::tokenizer
