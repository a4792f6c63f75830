// The last stage: decides what becomes of the whitespace around tags (see Whitespace in
// output_parser.h). Takes the events of the parsers, gives those of the answer. Not thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_WHITESPACE_FILTER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_WHITESPACE_FILTER_H_

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_service/output/event.h"
#include "tokenizer_service/output/output_parser.h"

namespace vallm::tokenizer {

class WhitespaceFilter {
 public:
  // `calls_possible`: a tool parser is at work. Otherwise no content is held back.
  WhitespaceFilter(Whitespace whitespace, bool calls_possible);

  // The content that follows stands behind a think block of the answer.
  void SetAfterThink() { after_think_ = true; }

  // Appends to *events what `event` (reasoning, content or of a call) makes certain.
  void Append(const Event& event, std::vector<Event>* events);

  // The answer is over: appends what was held back and is to stay.
  void Flush(std::vector<Event>* events);

 private:
  void AppendReasoning(std::string_view text, std::vector<Event>* events);
  void AppendContent(std::string_view text, std::vector<Event>* events);
  void BeginCall();
  bool clean() const { return whitespace_ == Whitespace::kClean; }

  const Whitespace whitespace_;
  const bool calls_possible_;
  bool after_think_ = false;

  bool reasoning_begun_ = false;
  std::string reasoning_held_;  // newlines behind the reasoning so far

  bool content_begun_ = false;
  bool call_seen_ = false;
  bool in_gap_ = true;        // nothing but whitespace since the start or the last call
  std::string content_held_;  // whitespace behind the content so far
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_WHITESPACE_FILTER_H_
