// Turns a stream of bytes, cut anywhere, into text: pieces of whole, valid UTF-8 characters. At
// most 3 bytes, the beginning of a character, are held back; bytes that can no longer become valid
// are U+FFFD at once, one per maximal subpart. Not thread-safe. Cost: linear.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_UTF8_ASSEMBLER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_UTF8_ASSEMBLER_H_

#include <string>
#include <string_view>

namespace vallm::tokenizer {

class Utf8Assembler {
 public:
  // Appends to *text every character that `bytes` completes. Returns the offset, in what was
  // appended, of the character that the first of `bytes` belongs to: not 0 only where what was held
  // back could not go on and was replaced.
  size_t Append(std::string_view bytes, std::string* text);

  // The stream is over: an unfinished character becomes U+FFFD. The assembler is as new.
  void Flush(std::string* text);

  // Whether the beginning of a character is held back.
  bool holds() const { return !held_.empty(); }

 private:
  std::string held_;  // 0..3 bytes that begin a character
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_UTF8_ASSEMBLER_H_
