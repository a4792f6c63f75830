// The last stage: decides what becomes of the whitespace around tags (see Whitespace in
// output_parser.h), makes the events, and tells the ledger which bytes of the text they show.
//
// It is given the whole text in order, as reasoning, content, markup or the text of calls. Not
// thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_WHITESPACE_FILTER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_WHITESPACE_FILTER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_service/output/event.h"
#include "tokenizer_service/output/output_parser.h"
#include "tokenizer_service/output/token_ledger.h"

namespace vallm::tokenizer {

class WhitespaceFilter {
 public:
  // `calls_possible`: a tool parser is at work. Otherwise no content is held back. `ledger` must
  // outlive the filter.
  WhitespaceFilter(Whitespace whitespace, bool calls_possible, TokenLedger* ledger);

  // The content that follows stands behind a think block of the answer.
  void SetAfterThink() { after_think_ = true; }

  // The next of the text. Appends to the events what it makes certain.
  void Reasoning(std::string_view text);
  void Content(std::string_view text);
  // `bytes` that are in no event.
  void Markup(size_t bytes);
  // The beginning of a call, a piece of its arguments, and then the `bytes` of its text.
  void Call(int index, std::string_view name);
  void Arguments(int index, std::string_view json);
  void CallText(size_t bytes);

  // The answer is over: appends what was held back and is to stay.
  void Flush();

  // The events since they were last taken.
  std::vector<Event>& events() { return events_; }

 private:
  void Show(Event::Kind kind, TokenRole role, std::string_view text);
  void ShowHeld();
  // What is held back shows no tokens any more, even if content behind a call should bring it out:
  // the tokens of the call are not to wait for that.
  void HideHeld();
  void TakeTokens();
  bool clean() const { return whitespace_ == Whitespace::kClean; }

  const Whitespace whitespace_;
  const bool calls_possible_;
  TokenLedger& ledger_;
  std::vector<Event> events_;
  bool after_think_ = false;

  bool reasoning_begun_ = false;
  std::string reasoning_held_;  // newlines behind the reasoning so far

  bool content_begun_ = false;
  bool call_seen_ = false;
  bool in_gap_ = true;        // nothing but whitespace since the start or the last call
  std::string content_held_;  // whitespace behind the content so far
  size_t hidden_ = 0;         // bytes content_held_ begins with, hidden from the ledger
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_WHITESPACE_FILTER_H_
