// Python's view of text over UTF-8: code points, character classes and case mapping, as str methods
// and repr() see them. All input is valid UTF-8; the doors (template source, JSON) check that.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_UNICODE_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_UNICODE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {

// The code point at byte `*pos`, which moves past it. REQUIRES: *pos < text.size().
char32_t NextCodePoint(std::string_view text, size_t* pos);
// The code point that ends at byte `*pos`, which moves to its start. REQUIRES: *pos > 0.
char32_t PreviousCodePoint(std::string_view text, size_t* pos);
int64_t CountCodePoints(std::string_view text);
// Byte offset of code point `index`. REQUIRES: 0 <= index <= CountCodePoints(text).
size_t ByteOffset(std::string_view text, int64_t index);
// Byte offset of the first byte that is not part of valid UTF-8 (surrogates are not valid), or
// npos.
size_t FindInvalidUtf8(std::string_view text);

// text.find(what, pos), in linear time however the two are made up.
size_t FindText(std::string_view text, std::string_view what, size_t pos = 0);

bool IsSpace(char32_t c);      // str.isspace
bool IsLineBreak(char32_t c);  // what str.splitlines splits at
bool IsAlpha(char32_t c);
bool IsDecimal(char32_t c);
int DecimalValue(char32_t c);  // 0 to 9. REQUIRES: IsDecimal(c)
bool IsDigit(char32_t c);
bool IsNumeric(char32_t c);
bool IsAlnum(char32_t c);
bool IsLower(char32_t c);
bool IsUpper(char32_t c);
bool IsTitle(char32_t c);      // title-case letters such as U+01C5
bool IsWord(char32_t c);       // \w of a regular expression
bool IsPrintable(char32_t c);  // repr() shows it as it is
bool IsIdentifier(std::string_view text);

std::string ToUpper(std::string_view text);
std::string ToLower(std::string_view text);
std::string ToTitle(std::string_view text);        // str.title
std::string ToCapitalized(std::string_view text);  // str.capitalize
std::string SwapCase(std::string_view text);
std::string CaseFold(std::string_view text);

// `text` without the leading and trailing code points for which `strip` holds.
std::string_view StripSpace(std::string_view text, bool left, bool right);
std::string_view StripChars(std::string_view text, std::string_view chars, bool left, bool right);
// str.splitlines: pieces without (or with) their line ends; the first `most` + 1 of them.
std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends, size_t most);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_UNICODE_H_
