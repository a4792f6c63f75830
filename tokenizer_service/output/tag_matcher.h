// Finds tags in a stream of text, wherever the stream is cut, and holds back exactly what may be
// the beginning of one. Not thread-safe. Cost: linear.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_TAG_MATCHER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_TAG_MATCHER_H_

#include <string>
#include <string_view>

namespace vallm::tokenizer {

class TagMatcher {
 public:
  // REQUIRES: `tag` begins with '<', has no other '<', and outlives the matcher (a literal).
  explicit TagMatcher(std::string_view tag) : tag_(tag) {}

  // Takes text from the front of *text up to the end of the first tag, or all of it, and appends to
  // *before what is certain to stand before the tag. Returns whether the tag was found; the matcher
  // then is as new.
  bool Find(std::string_view* text, std::string* before);

  // The text is over: appends to *before what was held back.
  void Flush(std::string* before);

 private:
  std::string_view tag_;
  size_t matched_ =
      0;  // the text so far ends with the first `matched_` bytes of the tag, held back
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_TAG_MATCHER_H_
