// A strict JSON reader fed one byte at a time: it says where a value ends and whether it is well
// formed, and builds nothing. Strict is what Python's json.loads takes: RFC 8259 plus NaN, Infinity
// and -Infinity. The nesting depth costs one bit a level and no stack. Not thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_JSON_SCANNER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_JSON_SCANNER_H_

#include <string>
#include <string_view>
#include <vector>

namespace vallm::tokenizer {

class JsonScanner {
 public:
  enum class Status {
    kMore,        // the byte belongs to the value, which goes on
    kDone,        // the byte is the last of the value
    kDoneBefore,  // a number or literal ended before the byte, which does not belong to it
    kError,       // no JSON value goes on like this
  };

  // REQUIRES: the last status was kMore, or this is the first byte. Whitespace before the value is
  // an error: the caller skips it.
  Status Push(char c);

  // Whether the next byte stands inside a string.
  bool in_string() const { return state_ >= State::kString && state_ <= State::kHex; }

 private:
  enum class State {
    kValue,         // a value must begin
    kFirstElement,  // a value or ']'
    kFirstKey,      // a key or '}'
    kKey,           // a key
    kColon,
    kAfterValue,  // ',' or the closing bracket
    kString,
    kEscape,  // after a backslash
    kHex,     // in \uXXXX
    kScalar,  // in a number or literal
  };

  Status BeginValue(char c);
  Status PushString(char c);
  Status PushScalar(char c);
  Status CloseContainer(char c);
  Status EndValue();

  State state_ = State::kValue;
  std::vector<bool> objects_;  // the open brackets, outermost first: true for '{'
  bool in_key_ = false;        // the string being read is a key
  int hex_digits_ = 0;         // still to come
  std::string scalar_;         // the number or literal so far
};

// Whether `text` is one JSON value, or one JSON object, with nothing but whitespace around it.
bool IsJson(std::string_view text);
bool IsJsonObject(std::string_view text);

// The text that a JSON string literal stands for, in UTF-8; a lone surrogate becomes U+FFFD.
// REQUIRES: `literal` is a whole literal, quotes included, that JsonScanner took.
std::string JsonStringValue(std::string_view literal);

// `text` as it stands between the quotes of a string literal, and with them. What need not be
// escaped is not. REQUIRES: valid UTF-8; EscapeJson(a + b) is EscapeJson(a) + EscapeJson(b).
std::string EscapeJson(std::string_view text);
std::string JsonStringLiteral(std::string_view text);

constexpr bool IsJsonSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_JSON_SCANNER_H_
