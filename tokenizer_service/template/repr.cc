#include "tokenizer_service/template/repr.h"

#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/strings.h"
#include "tokenizer_service/template/object.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

void AppendEscape(char32_t c, std::string* out) {
  if (c < 0x100) {
    absl::StrAppendFormat(out, "\\x%02x", static_cast<uint32_t>(c));
  } else if (c < 0x10000) {
    absl::StrAppendFormat(out, "\\u%04x", static_cast<uint32_t>(c));
  } else {
    absl::StrAppendFormat(out, "\\U%08x", static_cast<uint32_t>(c));
  }
}

void AppendQuoted(std::string_view text, std::string* out) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out->push_back(quote);
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const char32_t c = NextCodePoint(text, &pos);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out->push_back('\\');
      out->push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out->append("\\n");
    } else if (c == '\r') {
      out->append("\\r");
    } else if (c == '\t') {
      out->append("\\t");
    } else if (IsPrintable(c)) {
      out->append(text.substr(begin, pos - begin));
    } else {
      AppendEscape(c, out);
    }
  }
  out->push_back(quote);
}

void AppendItems(const std::vector<Value>& items, size_t limit, std::string* out) {
  for (size_t i = 0; i < items.size() && out->size() <= limit; ++i) {
    if (i != 0) out->append(", ");
    AppendRepr(items[i], limit, out);
  }
}

void AppendDict(const DictCell& dict, size_t limit, std::string* out) {
  out->push_back('{');
  bool first = true;
  for (const auto& [key, value] : dict.entries()) {
    if (out->size() > limit) return;
    if (!first) out->append(", ");
    first = false;
    AppendRepr(key, limit, out);
    out->append(": ");
    AppendRepr(value, limit, out);
  }
  out->push_back('}');
}

}  // namespace

std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  std::string out;
  if (text.front() == '-') {
    out.push_back('-');
    text.remove_prefix(1);
  }
  const size_t e = text.find('e');
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  if (exponent < -4 || exponent >= 16) {
    out += digits.substr(0, 1);
    if (digits.size() > 1) absl::StrAppend(&out, ".", digits.substr(1));
    absl::StrAppendFormat(&out, "e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
  } else if (exponent < 0) {
    absl::StrAppend(&out, "0.", std::string(static_cast<size_t>(-exponent - 1), '0'), digits);
  } else {
    const size_t whole = static_cast<size_t>(exponent) + 1;
    if (digits.size() < whole) digits.append(whole - digits.size(), '0');
    const std::string fraction = digits.substr(whole);
    absl::StrAppend(&out, digits.substr(0, whole), ".", fraction.empty() ? "0" : fraction);
  }
  return out;
}

void AppendRepr(const Value& value, size_t limit, std::string* out) {
  switch (value.kind()) {
    case Value::Kind::kMissing:
    case Value::Kind::kUndefined:
      out->append("Undefined");
      return;
    case Value::Kind::kStr:
      if (value.str().markup()) out->append("Markup(");
      AppendQuoted(value.text(), out);
      if (value.str().markup()) out->push_back(')');
      return;
    case Value::Kind::kList:
      out->push_back('[');
      AppendItems(value.items(), limit, out);
      out->push_back(']');
      return;
    case Value::Kind::kTuple:
      out->push_back('(');
      AppendItems(value.items(), limit, out);
      out->append(value.items().size() == 1 ? ",)" : ")");
      return;
    case Value::Kind::kDict:
      AppendDict(value.dict(), limit, out);
      return;
    default:
      AppendStr(value, limit, out);
  }
}

void AppendStr(const Value& value, size_t limit, std::string* out) {
  switch (value.kind()) {
    case Value::Kind::kMissing:
    case Value::Kind::kUndefined:
      return;
    case Value::Kind::kNone:
      out->append("None");
      return;
    case Value::Kind::kBool:
      out->append(value.bool_value() ? "True" : "False");
      return;
    case Value::Kind::kInt:
      absl::StrAppend(out, value.int_value());
      return;
    case Value::Kind::kBigInt:
      out->append(value.big_int().ToString());
      return;
    case Value::Kind::kFloat:
      out->append(FloatRepr(value.float_value()));
      return;
    case Value::Kind::kStr:
      out->append(value.text());
      return;
    case Value::Kind::kRange: {
      const RangeCell& range = value.range();
      absl::StrAppend(out, "range(", range.start, ", ", range.stop);
      if (range.step != 1) absl::StrAppend(out, ", ", range.step);
      out->push_back(')');
      return;
    }
    case Value::Kind::kObject:
      value.object().AppendRepr(limit, out);
      return;
    default:
      AppendRepr(value, limit, out);
  }
}

std::string Repr(const Value& value) {
  constexpr size_t kLimit = 1024;
  std::string out;
  AppendRepr(value, kLimit, &out);
  if (out.size() > kLimit) {
    size_t end = kLimit;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;
    out.resize(end);
    out.append("...");
  }
  return out;
}

std::string EscapeNonAscii(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = NextCodePoint(text, &pos);
    if (c < 0x80) {
      out.push_back(static_cast<char>(c));
    } else {
      AppendEscape(c, &out);
    }
  }
  return out;
}

}  // namespace vallm::tokenizer
