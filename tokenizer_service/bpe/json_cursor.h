// Reads JSON text front to back without building a tree: for the hundreds of thousands of entries
// of a vocabulary. What is not worth the speed goes to nlohmann (tokenizer_json.cc).
#ifndef VALLM_TOKENIZER_SERVICE_BPE_JSON_CURSOR_H_
#define VALLM_TOKENIZER_SERVICE_BPE_JSON_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace vallm::tokenizer {

// Every call skips white space first. A call that returns false leaves the cursor anywhere: give
// up, or start again. Not thread-safe.
class JsonCursor {
 public:
  // `text` must outlive the cursor. REQUIRES: valid UTF-8.
  explicit JsonCursor(std::string_view text) : text_(text) {}

  size_t offset() const { return offset_; }
  // What stands between this and a cursor that has gone further in the same text.
  std::string_view TextUpTo(const JsonCursor& end) const {
    return text_.substr(offset_, end.offset_ - offset_);
  }
  bool AtEnd();
  // The next character; 0 at the end.
  char Peek();
  // Moves over `c` if it comes next.
  bool Consume(char c);
  // Reads a string. False if none comes next or it holds a lone surrogate.
  bool ReadString(std::string* out);
  // The same; `out` points into the text where the string has no escapes, else into a new element
  // of `storage`.
  bool ReadString(std::string_view* out, std::deque<std::string>* storage);
  // Reads a number that is an integer of at most nine digits, without a sign.
  bool ReadSmallInt(int32_t* out);
  // Moves over a value, checking no more than that its brackets and strings end.
  bool SkipValue();

 private:
  bool SkipString();
  bool ReadEscape(std::string* out);
  bool ReadHex(char32_t* out);

  std::string_view text_;
  size_t offset_ = 0;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_JSON_CURSOR_H_
