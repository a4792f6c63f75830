#include "tokenizer_service/template/number_format.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

std::string Repeat(std::string_view unit, int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) text += unit;
  return text;
}

// `sign` and `prefix` stay in front of zeros that '=' alignment puts before `digits`.
std::string Layout(const std::string& sign, const std::string& digits, const FormatSpec& spec,
                   char default_align) {
  const int64_t length = CountCodePoints(sign) + CountCodePoints(digits);
  const int64_t pad = std::max<int64_t>(0, spec.width - length);
  switch (spec.align == '\0' ? default_align : spec.align) {
    case '<':
      return sign + digits + Repeat(spec.fill, pad);
    case '^':
      return Repeat(spec.fill, pad / 2) + sign + digits + Repeat(spec.fill, pad - pad / 2);
    case '=':
      return sign + Repeat(spec.fill, pad) + digits;
    default:
      return Repeat(spec.fill, pad) + sign + digits;
  }
}

std::string SignOf(bool negative, const FormatSpec& spec) {
  if (negative) return "-";
  return spec.sign == '-' ? "" : std::string(1, spec.sign);
}

// Puts separators between groups of the leading run of digits.
std::string Group(const std::string& digits, char separator, size_t size) {
  if (separator == '\0') return digits;
  const size_t run = static_cast<size_t>(
      std::find_if(digits.begin(), digits.end(),
                   [](char c) { return !absl::ascii_isxdigit(static_cast<unsigned char>(c)); }) -
      digits.begin());
  std::string out;
  for (size_t i = 0; i < run; ++i) {
    if (i != 0 && (run - i) % size == 0) out.push_back(separator);
    out.push_back(digits[i]);
  }
  return out + digits.substr(run);
}

absl::Status CheckWidths(const FormatSpec& spec) {
  if (spec.width <= kMaxFormatWidth && spec.precision <= kMaxFormatWidth) return absl::OkStatus();
  return TemplateError("format width or precision is too large; limit is ", kMaxFormatWidth);
}

// %g without the alternate form drops trailing zeros; absl does that itself.
std::string FloatDigits(double magnitude, const FormatSpec& spec) {
  const int precision = static_cast<int>(std::min<int64_t>(spec.precision, 2000));
  switch (absl::ascii_tolower(static_cast<unsigned char>(spec.type))) {
    case 'e':
      return absl::StrFormat("%.*e", precision < 0 ? 6 : precision, magnitude);
    case 'f':
      return absl::StrFormat("%.*f", precision < 0 ? 6 : precision, magnitude);
    case '%':
      return absl::StrFormat("%.*f", precision < 0 ? 6 : precision, magnitude * 100) + "%";
    case 'g':
    case 'n':
      return spec.alternate ? absl::StrFormat("%#.*g", precision < 0 ? 6 : precision, magnitude)
                            : absl::StrFormat("%.*g", precision < 0 ? 6 : precision, magnitude);
    default:
      break;
  }
  if (precision < 0) return FloatRepr(magnitude);
  // Without a type the result always shows that it is a float: by ".0" where there is room for it
  // within the precision, by an exponent where not.
  const int figures = std::max(precision, 1);
  std::string text = absl::StrFormat("%.*g", figures, magnitude);
  if (text.find_first_of(".e") != std::string::npos) return text;
  if (static_cast<int>(text.size()) < figures) return text + ".0";
  text = absl::StrFormat("%.*e", figures - 1, magnitude);
  const size_t exponent = text.find('e');
  size_t end = exponent;
  if (text.find('.') < exponent) {
    end = text.find_last_not_of('0', exponent - 1) + 1;
    if (text[end - 1] == '.') --end;
  }
  return text.substr(0, end) + text.substr(exponent);
}

}  // namespace

absl::StatusOr<std::string> FormatInteger(const BigInt& value, const FormatSpec& spec) {
  VALLM_RETURN_IF_ERROR(CheckWidths(spec));
  BigInt rest = value.negative() ? value.Negated() : value;
  std::string digits;
  std::string prefix;
  const char type = absl::ascii_tolower(static_cast<unsigned char>(spec.type));
  const int base = type == 'x' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  if (base == 10) {
    digits = rest.ToString();
  } else {
    // Many digits per division: a number of a thousand digits would take seconds otherwise.
    constexpr int64_t kChunk = int64_t{1} << 24;
    while (!rest.is_zero()) {
      auto [quotient, chunk] = BigInt::FloorDivMod(rest, BigInt(kChunk));
      int64_t bits = chunk.ToInt64().value_or(0);
      for (int64_t left = kChunk; left > 1; left /= base) {
        digits.push_back("0123456789abcdef"[bits % base]);
        bits /= base;
      }
      rest = std::move(quotient);
    }
    while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
    if (digits.empty()) digits = "0";
    std::reverse(digits.begin(), digits.end());
    if (spec.alternate) prefix = absl::StrCat("0", std::string(1, type));
  }
  if (spec.type == 'X') {
    digits = absl::AsciiStrToUpper(digits);
    prefix = absl::AsciiStrToUpper(prefix);
  }
  digits = Group(digits, spec.grouping, base == 10 ? 3 : 4);
  return Layout(SignOf(value.negative(), spec) + prefix, digits, spec, '>');
}

int64_t FormatIntegerCost(const BigInt& value) {
  const auto digits = static_cast<int64_t>(value.DigitCount());
  return digits * digits / 64;
}

absl::StatusOr<std::string> FormatFloat(double value, const FormatSpec& spec) {
  VALLM_RETURN_IF_ERROR(CheckWidths(spec));
  const bool negative = std::signbit(value) && !std::isnan(value);
  const double magnitude = std::fabs(value);
  std::string digits;
  if (!std::isfinite(value)) {
    digits = std::isnan(value) ? "nan" : "inf";
    if (spec.type == '%') digits += "%";
  } else {
    digits = Group(FloatDigits(magnitude, spec), spec.grouping, 3);
  }
  if (spec.type == 'E' || spec.type == 'F' || spec.type == 'G') {
    digits = absl::AsciiStrToUpper(digits);
  }
  return Layout(SignOf(negative, spec), digits, spec, '>');
}

absl::StatusOr<std::string> CharacterText(const Value& value) {
  const bool small = value.is_integral() && value.kind() != Value::Kind::kBigInt;
  const int64_t c = small ? value.int_value() : -1;
  if (c < 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) {
    return TemplateError("%c arg not in range(0x110000)");
  }
  std::string text;
  AppendUtf8(static_cast<char32_t>(c), &text);
  return text;
}

absl::StatusOr<std::string> FormatText(std::string_view text, const FormatSpec& spec) {
  VALLM_RETURN_IF_ERROR(CheckWidths(spec));
  if (spec.precision >= 0) text = text.substr(0, ByteOffset(text, spec.precision));
  return Layout("", std::string(text), spec, '<');
}

}  // namespace vallm::tokenizer
