#include "tokenizer_service/template/string_literal.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

constexpr std::string_view kSimple = "\\'\"abfnrtv";
constexpr std::string_view kMeaning = "\\'\"\a\b\f\n\r\t\v";

// The code point of the `digits` hexadecimal digits at `pos`, which moves past them.
absl::StatusOr<char32_t> Hex(std::string_view body, size_t* pos, size_t digits) {
  char32_t c = 0;
  const size_t end = *pos + digits;
  for (; *pos < end; ++*pos) {
    if (*pos >= body.size() || !absl::ascii_isxdigit(static_cast<unsigned char>(body[*pos]))) {
      return absl::InvalidArgumentError(
          absl::StrCat("escape in a string literal needs ", digits, " hexadecimal digits"));
    }
    const char digit = body[*pos];
    c = c * 16 + static_cast<char32_t>(digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10);
  }
  if (c > 0x10FFFF) return absl::InvalidArgumentError("illegal Unicode character in an escape");
  if (c >= 0xD800 && c < 0xE000) {
    return absl::InvalidArgumentError("surrogates are not allowed in a string literal");
  }
  return c;
}

char32_t Octal(std::string_view body, size_t* pos) {
  char32_t c = 0;
  for (int i = 0; i < 3 && *pos < body.size() && body[*pos] >= '0' && body[*pos] <= '7'; ++i) {
    c = c * 8 + static_cast<char32_t>(body[(*pos)++] - '0');
  }
  return c;
}

}  // namespace

absl::StatusOr<std::string> UnescapeString(std::string_view body) {
  std::string out;
  out.reserve(body.size());
  for (size_t pos = 0; pos < body.size();) {
    if (body[pos] != '\\' || pos + 1 >= body.size()) {
      out.push_back(body[pos++]);
      continue;
    }
    const char escape = body[pos + 1];
    pos += 2;
    if (const size_t simple = kSimple.find(escape); simple != std::string_view::npos) {
      out.push_back(kMeaning[simple]);
    } else if (escape == '\n') {
      continue;  // a line continued
    } else if (escape == 'x' || escape == 'u' || escape == 'U') {
      VALLM_ASSIGN_OR_RETURN(const char32_t c, Hex(body, &pos,
                                                   escape == 'x'   ? 2
                                                   : escape == 'u' ? 4
                                                                   : 8));
      AppendUtf8(c, &out);
    } else if (escape >= '0' && escape <= '7') {
      --pos;
      AppendUtf8(Octal(body, &pos), &out);
    } else if (escape == 'N') {
      return absl::InvalidArgumentError("\\N{...} escapes are not supported");
    } else {
      out.push_back('\\');
      out.push_back(escape);
    }
  }
  return out;
}

}  // namespace vallm::tokenizer
