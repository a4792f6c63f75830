// Text as the public scorers see it: Unicode white space and case, characters rather than bytes.
// Stateless; thread-safe. Input is UTF-8; broken bytes count as one character each.
#ifndef VALLM_TOOLS_EVAL_TEXT_UNICODE_TEXT_H_
#define VALLM_TOOLS_EVAL_TEXT_UNICODE_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vallm::eval {

// The code points of `text`.
std::vector<char32_t> Characters(std::string_view text);
std::string ToUtf8(char32_t c);
std::string ToUtf8(const std::vector<char32_t>& characters);

bool IsSpace(char32_t c);
bool IsHan(char32_t c);  // U+4E00 to U+9FA5, as the scorers mean it
bool HasHan(std::string_view text);

// Without white space at its ends.
std::string_view Strip(std::string_view text);
std::string_view StripRight(std::string_view text);
// Without any of the ASCII characters `unwanted` at its ends.
std::string_view StripOf(std::string_view text, std::string_view unwanted);
// The runs between white space; none is empty.
std::vector<std::string_view> Words(std::string_view text);
std::vector<std::string_view> SplitAt(std::string_view text, std::string_view separator);

std::string Lower(std::string_view text);
std::string Upper(std::string_view text);
// At least one cased character, and none of the other case.
bool IsUpper(std::string_view text);
bool IsLower(std::string_view text);

std::string ReplaceEach(std::string_view text, std::string_view what, std::string_view by);
bool Contains(std::string_view text, std::string_view what);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_TEXT_UNICODE_TEXT_H_
