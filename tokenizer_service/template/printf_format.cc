#include "tokenizer_service/template/printf_format.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/number_format.h"
#include "tokenizer_service/template/numbers.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

class PrintfFormatter {
 public:
  PrintfFormatter(Runtime& runtime, std::string_view format, const Value& args)
      : runtime_(runtime), format_(format), args_(args) {}

  absl::StatusOr<std::string> Run() {
    std::string out;
    while (pos_ < format_.size()) {
      const size_t percent = std::min(format_.find('%', pos_), format_.size());
      out.append(format_.substr(pos_, percent - pos_));
      pos_ = percent;
      if (pos_ == format_.size()) break;
      ++pos_;
      VALLM_ASSIGN_OR_RETURN(const std::string text, Conversion());
      out += text;
      VALLM_RETURN_IF_ERROR(runtime_.CheckStringSize(static_cast<double>(out.size())));
    }
    const bool tuple = args_.kind() == Value::Kind::kTuple;
    const size_t given = tuple ? args_.items().size() : 1;
    // What has items counts as a mapping, whose members need not all be used.
    const bool mapping = args_.is_dict() || args_.is_undefined() ||
                         args_.kind() == Value::Kind::kList || args_.kind() == Value::Kind::kRange;
    if (next_ < given && !mapping) {
      return TemplateError("not all arguments converted during string formatting");
    }
    return out;
  }

 private:
  absl::StatusOr<Value> NextArgument() {
    const bool tuple = args_.kind() == Value::Kind::kTuple;
    if (next_ >= (tuple ? args_.items().size() : 1)) {
      return TemplateError("not enough arguments for format string");
    }
    return tuple ? args_.items()[next_++] : (++next_, args_);
  }

  // A number in the format, or * for the next argument.
  absl::StatusOr<int64_t> Number() {
    if (pos_ < format_.size() && format_[pos_] == '*') {
      ++pos_;
      VALLM_ASSIGN_OR_RETURN(const Value value, NextArgument());
      if (!value.is_integral() || value.kind() == Value::Kind::kBigInt) {
        return TemplateError("* wants int");
      }
      return value.int_value();
    }
    int64_t number = 0;
    while (pos_ < format_.size() &&
           absl::ascii_isdigit(static_cast<unsigned char>(format_[pos_]))) {
      number = std::min<int64_t>(number * 10 + (format_[pos_++] - '0'), kMaxFormatWidth + 1);
    }
    return number;
  }

  absl::StatusOr<Value> NamedArgument() {
    const size_t close = format_.find(')', pos_);
    if (close == std::string_view::npos) return TemplateError("incomplete format key");
    if (!args_.is_dict()) return TemplateError("format requires a mapping");
    const std::string_view key = format_.substr(pos_ + 1, close - pos_ - 1);
    pos_ = close + 1;
    const Value* found = args_.dict().Find(key);
    if (found == nullptr) return TemplateError("KeyError: '", ToAbsl(key), "'");
    return *found;
  }

  absl::StatusOr<std::string> Conversion() {
    Value argument = Value::Missing();
    if (pos_ < format_.size() && format_[pos_] == '(') {
      VALLM_ASSIGN_OR_RETURN(argument, NamedArgument());
    }
    FormatSpec spec;
    spec.align = '>';
    bool zero = false;
    for (; pos_ < format_.size(); ++pos_) {
      const char flag = format_[pos_];
      if (flag == '-') {
        spec.align = '<';
      } else if (flag == '+' || (flag == ' ' && spec.sign != '+')) {
        spec.sign = flag;
      } else if (flag == '#') {
        spec.alternate = true;
      } else if (flag == '0') {
        zero = true;
      } else if (flag != ' ') {
        break;
      }
    }
    VALLM_ASSIGN_OR_RETURN(spec.width, Number());
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -spec.width;
    }
    if (pos_ < format_.size() && format_[pos_] == '.') {
      ++pos_;
      VALLM_ASSIGN_OR_RETURN(spec.precision, Number());
    }
    while (pos_ < format_.size() &&
           std::string_view("hlL").find(format_[pos_]) != std::string_view::npos) {
      ++pos_;
    }
    if (pos_ >= format_.size()) return TemplateError("incomplete format");
    const char type = format_[pos_];
    const size_t begin = pos_;
    NextCodePoint(format_, &pos_);
    if (pos_ > begin + 1) {
      return TemplateError("unsupported format character '",
                           ToAbsl(format_.substr(begin, pos_ - begin)), "'");
    }
    if (type == '%') return std::string("%");
    if (argument.is_missing()) {
      VALLM_ASSIGN_OR_RETURN(argument, NextArgument());
    }
    return Convert(type, argument, spec, zero);
  }

  absl::StatusOr<std::string> Convert(char type, const Value& argument, FormatSpec spec,
                                      bool zero) {
    if (type == 's' || type == 'r' || type == 'a') {
      VALLM_ASSIGN_OR_RETURN(std::string text,
                             type == 's' ? runtime_.Str(argument) : runtime_.ReprOf(argument));
      if (type == 'a') text = EscapeNonAscii(text);
      return FormatText(text, spec);
    }
    if (type == 'c') return Character(argument, spec);
    spec.type = type;
    if (zero && spec.align != '<') {
      spec.align = '=';
      spec.fill = "0";
    }
    if (argument.is_undefined()) return UndefinedError(argument);
    if (std::string_view("eEfFgG").find(type) != std::string_view::npos) {
      if (!argument.is_number()) {
        return TemplateError("must be real number, not ", ToAbsl(argument.TypeName()));
      }
      if (spec.precision < 0) spec.precision = 6;
      return FormatFloat(AsDouble(argument), spec);
    }
    if (std::string_view("diuxXo").find(type) == std::string_view::npos) {
      return TemplateError("unsupported format character '", std::string(1, type), "'");
    }
    const bool decimal = type == 'd' || type == 'i' || type == 'u';
    if (!argument.is_number() || (!decimal && !argument.is_integral())) {
      return TemplateError("%", std::string(1, type), " format: a number is required, not ",
                           ToAbsl(argument.TypeName()));
    }
    if (decimal) spec.type = 'd';
    VALLM_ASSIGN_OR_RETURN(const Value integer, Truncate(argument));
    VALLM_RETURN_IF_ERROR(runtime_.Charge(FormatIntegerCost(AsBigInt(integer))));
    return Digits(AsBigInt(integer), spec);
  }

  // %.5d: a precision is a minimum of digits.
  static absl::StatusOr<std::string> Digits(const BigInt& value, const FormatSpec& spec) {
    if (spec.precision < 0) return FormatInteger(value, spec);
    FormatSpec inner = spec;
    inner.precision = -1;
    inner.align = '=';
    inner.fill = "0";
    inner.width = spec.precision + (value.negative() || spec.sign != '-' ? 1 : 0);
    VALLM_ASSIGN_OR_RETURN(const std::string digits, FormatInteger(value, inner));
    FormatSpec outer = spec;
    outer.precision = -1;
    if (outer.align == '=') outer.align = '>';
    outer.fill = " ";
    return FormatText(digits, outer);
  }

  absl::StatusOr<std::string> Character(const Value& argument, const FormatSpec& spec) {
    if (argument.is_str() && argument.str().length() == 1) return FormatText(argument.text(), spec);
    if (!argument.is_integral() || argument.kind() == Value::Kind::kBigInt) {
      return TemplateError("%c requires int or char");
    }
    VALLM_ASSIGN_OR_RETURN(const std::string text, CharacterText(argument));
    return FormatText(text, spec);
  }

  Runtime& runtime_;
  const std::string_view format_;
  const Value& args_;
  size_t pos_ = 0;
  size_t next_ = 0;
};

}  // namespace

absl::StatusOr<Value> PrintfFormat(Runtime& runtime, const Value& format, const Value& args) {
  VALLM_ASSIGN_OR_RETURN(std::string text, PrintfFormatter(runtime, format.text(), args).Run());
  return runtime.MakeStr(std::move(text), format.str().markup());
}

}  // namespace vallm::tokenizer
