#include "tokenizer_service/output/json_scanner.h"

#include <algorithm>
#include <cstdint>

#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Matches one or more digits from *pos on.
bool TakeDigits(std::string_view text, size_t* pos) {
  const size_t begin = *pos;
  while (*pos < text.size() && IsDigit(text[*pos])) ++*pos;
  return *pos > begin;
}

bool IsNumber(std::string_view text) {
  size_t pos = text.starts_with('-') ? 1 : 0;
  const bool zero = pos < text.size() && text[pos] == '0';
  const size_t digits = pos;
  if (!TakeDigits(text, &pos) || (zero && pos > digits + 1)) return false;
  if (pos < text.size() && text[pos] == '.' && !TakeDigits(text, &++pos)) return false;
  if (pos < text.size() && (text[pos] == 'e' || text[pos] == 'E')) {
    ++pos;
    if (pos < text.size() && (text[pos] == '+' || text[pos] == '-')) ++pos;
    if (!TakeDigits(text, &pos)) return false;
  }
  return pos == text.size();
}

bool IsScalar(std::string_view text) {
  for (const std::string_view literal : {"true", "false", "null", "NaN", "Infinity", "-Infinity"}) {
    if (text == literal) return true;
  }
  return IsNumber(text);
}

bool IsScalarByte(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' ||
         c == '.';
}

uint32_t HexUnit(std::string_view digits) {
  uint32_t unit = 0;
  for (const char c : digits) unit = unit * 16 + static_cast<uint32_t>(HexValue(c));
  return unit;
}

// Appends what "\uXXXX" at *pos (behind the 'u'), with a second half of a surrogate pair if there
// is one, stands for; moves *pos behind it.
void AppendUnicodeEscape(std::string_view body, size_t* pos, std::string* out) {
  const uint32_t unit = HexUnit(body.substr(*pos, 4));
  *pos += 4;
  if (unit < 0xD800 || unit > 0xDFFF) {
    AppendUtf8(unit, out);
    return;
  }
  if (unit < 0xDC00 && body.substr(*pos, 2) == "\\u") {
    const uint32_t low = HexUnit(body.substr(*pos + 2, 4));
    if (low >= 0xDC00 && low <= 0xDFFF) {
      AppendUtf8(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00), out);
      *pos += 6;
      return;
    }
  }
  *out += kReplacementCharacter;
}

}  // namespace

JsonScanner::Status JsonScanner::Push(char c) {
  switch (state_) {
    case State::kString:
    case State::kEscape:
    case State::kHex:
      return PushString(c);
    case State::kScalar:
      return PushScalar(c);
    default:
      break;
  }
  if (IsJsonSpace(c)) return objects_.empty() ? Status::kError : Status::kMore;
  switch (state_) {
    case State::kFirstElement:
      if (c == ']') return CloseContainer(c);
      return BeginValue(c);
    case State::kFirstKey:
      if (c == '}') return CloseContainer(c);
      [[fallthrough]];
    case State::kKey:
      if (c != '"') return Status::kError;
      in_key_ = true;
      state_ = State::kString;
      return Status::kMore;
    case State::kColon:
      if (c != ':') return Status::kError;
      state_ = State::kValue;
      return Status::kMore;
    case State::kAfterValue:
      if (c != ',') return CloseContainer(c);
      state_ = objects_.back() ? State::kKey : State::kValue;
      return Status::kMore;
    default:
      return BeginValue(c);
  }
}

JsonScanner::Status JsonScanner::BeginValue(char c) {
  if (c == '{' || c == '[') {
    objects_.push_back(c == '{');
    state_ = c == '{' ? State::kFirstKey : State::kFirstElement;
    return Status::kMore;
  }
  if (c == '"') {
    in_key_ = false;
    state_ = State::kString;
    return Status::kMore;
  }
  if (!IsDigit(c) && std::string_view("-tfnNI").find(c) == std::string_view::npos) {
    return Status::kError;
  }
  scalar_.assign(1, c);
  state_ = State::kScalar;
  return Status::kMore;
}

JsonScanner::Status JsonScanner::PushString(char c) {
  if (state_ == State::kEscape) {
    if (c == 'u') {
      hex_digits_ = 4;
      state_ = State::kHex;
      return Status::kMore;
    }
    state_ = State::kString;
    return std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos ? Status::kError
                                                                            : Status::kMore;
  }
  if (state_ == State::kHex) {
    if (HexValue(c) < 0) return Status::kError;
    if (--hex_digits_ == 0) state_ = State::kString;
    return Status::kMore;
  }
  if (static_cast<unsigned char>(c) < 0x20) return Status::kError;
  if (c == '\\') state_ = State::kEscape;
  if (c != '"') return Status::kMore;
  if (!in_key_) return EndValue();
  state_ = State::kColon;
  return Status::kMore;
}

JsonScanner::Status JsonScanner::PushScalar(char c) {
  if (IsScalarByte(c)) {
    scalar_ += c;
    return Status::kMore;
  }
  if (!IsScalar(scalar_)) return Status::kError;
  if (objects_.empty()) return Status::kDoneBefore;
  state_ = State::kAfterValue;
  return Push(c);
}

JsonScanner::Status JsonScanner::CloseContainer(char c) {
  if (c != (objects_.back() ? '}' : ']')) return Status::kError;
  objects_.pop_back();
  return EndValue();
}

JsonScanner::Status JsonScanner::EndValue() {
  state_ = State::kAfterValue;
  return objects_.empty() ? Status::kDone : Status::kMore;
}

bool IsJson(std::string_view text) {
  while (!text.empty() && IsJsonSpace(text.front())) text.remove_prefix(1);
  JsonScanner scanner;
  for (size_t i = 0; i < text.size(); ++i) {
    const JsonScanner::Status status = scanner.Push(text[i]);
    if (status == JsonScanner::Status::kMore) continue;
    if (status == JsonScanner::Status::kError) return false;
    const std::string_view rest = text.substr(status == JsonScanner::Status::kDone ? i + 1 : i);
    return std::all_of(rest.begin(), rest.end(), IsJsonSpace);
  }
  // A number or literal has no end of its own.
  return scanner.Push(' ') == JsonScanner::Status::kDoneBefore;
}

bool IsJsonObject(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return begin != std::string_view::npos && text[begin] == '{' && IsJson(text);
}

std::string EscapeJson(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  constexpr std::string_view kEscaped = "\"\\\b\f\n\r\t";
  constexpr std::string_view kEscapes = "\"\\bfnrt";
  std::string escaped;
  for (const char c : text) {
    const size_t at = kEscaped.find(c);
    if (at != std::string_view::npos) {
      escaped += '\\';
      escaped += kEscapes[at];
    } else if (const auto byte = static_cast<unsigned char>(c); byte < 0x20) {
      escaped += "\\u00";
      escaped += kHex[byte >> 4];
      escaped += kHex[byte & 15];
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string JsonStringLiteral(std::string_view text) { return '"' + EscapeJson(text) + '"'; }

std::string JsonStringValue(std::string_view literal) {
  const std::string_view body = literal.substr(1, literal.size() - 2);
  std::string value;
  for (size_t pos = 0; pos < body.size();) {
    const char c = body[pos++];
    if (c != '\\') {
      value += c;
      continue;
    }
    const char escape = body[pos++];
    if (escape == 'u') {
      AppendUnicodeEscape(body, &pos, &value);
    } else {
      constexpr std::string_view kEscapes = "bfnrt";
      constexpr std::string_view kMeanings = "\b\f\n\r\t";
      const size_t at = kEscapes.find(escape);
      value += at == std::string_view::npos ? escape : kMeanings[at];
    }
  }
  return value;
}

}  // namespace vallm::tokenizer
