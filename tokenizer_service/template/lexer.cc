#include "tokenizer_service/template/lexer.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/string_literal.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                           "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                           ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

bool IsDigitChar(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(const Source& source) : source_(source), text_(source.text()) {}

  absl::StatusOr<std::vector<Token>> Run() {
    while (pos_ < text_.size()) VALLM_RETURN_IF_ERROR(NextPiece());
    Add(TokenType::kEnd, "", text_.size());
    return std::move(tokens_);
  }

 private:
  void Add(TokenType type, std::string_view text, size_t offset) {
    tokens_.push_back({type, std::string(text), static_cast<uint32_t>(offset)});
  }

  absl::Status Fail(size_t offset, absl::string_view message) const {
    return source_.Locate(absl::InvalidArgumentError(message), static_cast<uint32_t>(offset));
  }

  std::string_view Rest(size_t pos) const { return text_.substr(std::min(pos, text_.size())); }
  bool At(size_t pos, std::string_view what) const {
    return Rest(pos).substr(0, what.size()) == what;
  }

  size_t SkipSpace(size_t pos) const {
    while (pos < text_.size()) {
      size_t next = pos;
      if (!IsSpace(NextCodePoint(text_, &next))) break;
      pos = next;
    }
    return pos;
  }

  // The end of a tag that closes with `close` at `pos`: with a mark, and with the white space or
  // newline it swallows. nullopt if the tag does not end here.
  std::optional<size_t> TagEnd(size_t pos, std::string_view close) const {
    if (At(pos, "-") && At(pos + 1, close)) return SkipSpace(pos + 1 + close.size());
    const bool block = close != "}}";
    if (block && At(pos, "+") && At(pos + 1, close)) return pos + 1 + close.size();
    if (!At(pos, close)) return std::nullopt;
    const size_t end = pos + close.size();
    return block && At(end, "\n") ? end + 1 : end;
  }

  // Emits the text before a tag that begins at `tag` with its mark (if any) at `tag` + 2.
  void AddData(size_t begin, size_t tag, bool strip_line) {
    std::string_view data = text_.substr(begin, tag - begin);
    if (At(tag + 2, "-")) {
      data = StripSpace(data, /*left=*/false, /*right=*/true);
    } else if (strip_line && !At(tag + 2, "+")) {
      const size_t newline = data.rfind('\n');
      const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
      if ((line > 0 || line_starting_) &&
          StripSpace(data.substr(line), /*left=*/true, /*right=*/true).empty()) {
        data = data.substr(0, line);
      }
    }
    if (!data.empty()) Add(TokenType::kData, data, begin);
  }

  // Text up to the next tag, then the tag.
  absl::Status NextPiece() {
    size_t tag = pos_;
    while (true) {
      tag = text_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= text_.size()) {
        Add(TokenType::kData, Rest(pos_), pos_);
        pos_ = text_.size();
        return absl::OkStatus();
      }
      if (text_[tag + 1] == '{' || text_[tag + 1] == '%' || text_[tag + 1] == '#') break;
      ++tag;
    }
    const char kind = text_[tag + 1];
    AddData(pos_, tag, /*strip_line=*/kind != '{');
    size_t inside = tag + 2;
    if (At(inside, "-") || At(inside, "+")) ++inside;
    if (kind == '#') return Comment(tag, tag + 2);
    if (kind == '%') {
      if (const auto raw = RawBegin(inside)) return Raw(tag, *raw);
    }
    const bool block = kind == '%';
    Add(block ? TokenType::kBlockBegin : TokenType::kVariableBegin, text_.substr(tag, 2), tag);
    pos_ = inside;
    line_starting_ = false;
    return Tag(block ? "%}" : "}}", block ? TokenType::kBlockEnd : TokenType::kVariableEnd);
  }

  absl::Status Comment(size_t tag, size_t inside) {
    if (At(inside, "-") || At(inside, "+")) ++inside;
    for (size_t pos = inside; pos < text_.size(); ++pos) {
      const auto end = TagEnd(pos, "#}");
      if (!end) continue;
      line_starting_ = text_[*end - 1] == '\n';
      pos_ = *end;
      return absl::OkStatus();
    }
    return Fail(tag, "Missing end of comment tag");
  }

  // Past "raw %}" when that is what stands at `pos`.
  std::optional<size_t> RawBegin(size_t pos) const {
    pos = SkipSpace(pos);
    if (!At(pos, "raw")) return std::nullopt;
    pos = SkipSpace(pos + 3);
    if (At(pos, "-%}")) return SkipSpace(pos + 3);
    return At(pos, "%}") ? std::optional<size_t>(pos + 2) : std::nullopt;
  }

  absl::Status Raw(size_t tag, size_t begin) {
    line_starting_ = text_[begin - 1] == '\n';
    for (size_t open = text_.find("{%", begin); open != std::string_view::npos;
         open = text_.find("{%", open + 1)) {
      size_t pos = open + 2;
      if (At(pos, "-") || At(pos, "+")) ++pos;
      pos = SkipSpace(pos);
      if (!At(pos, "endraw")) continue;
      const auto end = TagEnd(SkipSpace(pos + 6), "%}");
      if (!end) continue;
      AddData(begin, open, /*strip_line=*/true);
      line_starting_ = text_[*end - 1] == '\n';
      pos_ = *end;
      return absl::OkStatus();
    }
    return Fail(tag, "Missing end of raw directive");
  }

  // The tokens of one tag up to and including its end.
  absl::Status Tag(std::string_view close, TokenType end_type) {
    brackets_.clear();
    while (pos_ < text_.size()) {
      if (brackets_.empty()) {
        if (const auto end = TagEnd(pos_, close)) {
          Add(end_type, close, pos_);
          line_starting_ = text_[*end - 1] == '\n';
          pos_ = *end;
          return absl::OkStatus();
        }
      }
      const size_t begin = SkipSpace(pos_);
      if (begin != pos_) {
        pos_ = begin;
        continue;
      }
      VALLM_RETURN_IF_ERROR(OneToken());
    }
    return absl::OkStatus();
  }

  absl::Status OneToken() {
    const size_t begin = pos_;
    const char c = text_[begin];
    if (IsDigitChar(c)) return Number();
    if (c == '\'' || c == '"') return String();
    size_t end = begin;
    while (end < text_.size()) {
      size_t next = end;
      if (!IsWord(NextCodePoint(text_, &next))) break;
      end = next;
    }
    if (end != begin) {
      const std::string_view name = text_.substr(begin, end - begin);
      if (!IsIdentifier(name)) return Fail(begin, "invalid character in identifier");
      Add(TokenType::kName, name, begin);
      pos_ = end;
      return absl::OkStatus();
    }
    return Operator();
  }

  absl::Status Operator() {
    for (std::string_view op : kOperators) {
      if (!At(pos_, op)) continue;
      if (op == "(" || op == "[" || op == "{") {
        brackets_.push_back(op == "(" ? ')' : op == "[" ? ']' : '}');
      } else if (op == ")" || op == "]" || op == "}") {
        if (brackets_.empty()) return Fail(pos_, absl::StrCat("unexpected '", ToAbsl(op), "'"));
        if (brackets_.back() != op[0]) {
          return Fail(pos_, absl::StrCat("unexpected '", ToAbsl(op), "', expected '",
                                         std::string(1, brackets_.back()), "'"));
        }
        brackets_.pop_back();
      }
      Add(TokenType::kOperator, op, pos_);
      pos_ += op.size();
      return absl::OkStatus();
    }
    size_t end = pos_;
    NextCodePoint(text_, &end);
    return Fail(
        pos_, absl::StrCat("unexpected character '", ToAbsl(text_.substr(pos_, end - pos_)), "'"));
  }

  // Digits with single underscores between them, from `pos`; `pos` itself if there are none.
  template <typename IsOne>
  size_t DigitRun(size_t pos, const IsOne& is_one) const {
    const auto digit = [&](size_t i) { return i < text_.size() && is_one(text_[i]); };
    if (!digit(pos)) return pos;
    while (digit(pos) || (pos < text_.size() && text_[pos] == '_' && digit(pos + 1))) ++pos;
    return pos;
  }

  void AddNumber(TokenType type, size_t end) {
    std::string spelling(text_.substr(pos_, end - pos_));
    spelling.erase(std::remove(spelling.begin(), spelling.end(), '_'), spelling.end());
    Add(type, spelling, pos_);
    pos_ = end;
  }

  absl::Status Number() {
    const size_t whole = DigitRun(pos_, IsDigitChar);
    size_t end = whole;
    if (At(end, ".")) end = std::max(end, DigitRun(end + 1, IsDigitChar));
    if (end == whole + 1) end = whole;
    if (At(end, "e") || At(end, "E")) {
      const size_t sign = At(end + 1, "+") || At(end + 1, "-") ? end + 2 : end + 1;
      const size_t exponent = DigitRun(sign, IsDigitChar);
      if (exponent != sign) end = exponent;
    }
    const bool after_dot = pos_ > 0 && text_[pos_ - 1] == '.';
    if (end != whole && !after_dot) {
      AddNumber(TokenType::kFloat, end);
      return absl::OkStatus();
    }
    end = pos_ + 1;
    if (text_[pos_] != '0') {
      end = whole;
    } else if (pos_ + 1 < text_.size()) {
      end = PrefixedInteger();
    }
    AddNumber(TokenType::kInteger, end);
    return absl::OkStatus();
  }

  // 0b, 0o and 0x integers, and runs of zeros.
  size_t PrefixedInteger() const {
    const char marker = absl::ascii_tolower(static_cast<unsigned char>(text_[pos_ + 1]));
    const size_t digits = At(pos_ + 2, "_") ? pos_ + 3 : pos_ + 2;
    size_t end = digits;
    if (marker == 'b') end = DigitRun(digits, [](char c) { return c == '0' || c == '1'; });
    if (marker == 'o') end = DigitRun(digits, [](char c) { return c >= '0' && c <= '7'; });
    if (marker == 'x') {
      end = DigitRun(digits,
                     [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); });
    }
    if (end != digits) return end;
    return DigitRun(pos_, [](char c) { return c == '0'; });
  }

  absl::Status String() {
    const size_t begin = pos_;
    const char quote = text_[begin];
    size_t end = begin + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return Fail(begin, "string literal is not closed");
    auto value = UnescapeString(text_.substr(begin + 1, end - begin - 1));
    if (!value.ok()) return Fail(begin, value.status().message());
    Add(TokenType::kString, *value, begin);
    pos_ = end + 1;
    return absl::OkStatus();
  }

  const Source& source_;
  const std::string_view text_;
  size_t pos_ = 0;
  bool line_starting_ = true;  // the last tag swallowed a newline, or nothing was read yet
  std::vector<char> brackets_;
  std::vector<Token> tokens_;
};

}  // namespace

absl::StatusOr<std::vector<Token>> Tokenize(const Source& source) { return Lexer(source).Run(); }

}  // namespace vallm::tokenizer
