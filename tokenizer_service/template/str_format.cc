#include "tokenizer_service/template/str_format.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/attributes.h"
#include "tokenizer_service/template/number_format.h"
#include "tokenizer_service/template/numbers.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

constexpr std::string_view kAligns = "<>^=";

bool AllDigits(std::string_view text) {
  return !text.empty() && text.size() < 10 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

int64_t TakeNumber(std::string_view* text) {
  int64_t number = 0;
  while (!text->empty() && absl::ascii_isdigit(static_cast<unsigned char>(text->front()))) {
    number = std::min<int64_t>(number * 10 + (text->front() - '0'), kMaxFormatWidth + 1);
    text->remove_prefix(1);
  }
  return number;
}

bool TakeChar(std::string_view* text, char c) {
  if (text->empty() || text->front() != c) return false;
  text->remove_prefix(1);
  return true;
}

// [[fill]align][sign][#][0][width][grouping][.precision][type]
absl::StatusOr<FormatSpec> ParseSpec(std::string_view text) {
  FormatSpec spec;
  size_t first = 0;
  if (!text.empty()) NextCodePoint(text, &first);
  if (first < text.size() && kAligns.find(text[first]) != std::string_view::npos) {
    spec.fill = std::string(text.substr(0, first));
    spec.align = text[first];
    text.remove_prefix(first + 1);
  } else if (!text.empty() && kAligns.find(text[0]) != std::string_view::npos) {
    spec.align = text[0];
    text.remove_prefix(1);
  }
  for (char sign : {'+', '-', ' '}) {
    if (TakeChar(&text, sign)) {
      spec.sign = sign;
      break;
    }
  }
  spec.alternate = TakeChar(&text, '#');
  if (TakeChar(&text, '0') && spec.align == '\0') {
    spec.fill = "0";
    spec.align = '=';
  }
  spec.width = TakeNumber(&text);
  for (char grouping : {',', '_'}) {
    if (TakeChar(&text, grouping)) spec.grouping = grouping;
  }
  if (TakeChar(&text, '.')) {
    if (text.empty() || !absl::ascii_isdigit(static_cast<unsigned char>(text[0]))) {
      return TemplateError("format specifier missing precision");
    }
    spec.precision = TakeNumber(&text);
  }
  if (text.size() > 1) return TemplateError("invalid format specifier");
  if (!text.empty()) spec.type = text[0];
  return spec;
}

// {:c}: the character of a code point, laid out as a number.
absl::StatusOr<std::string> FormatCharacter(const Value& value, FormatSpec spec) {
  if (spec.sign != '-' || spec.alternate || spec.grouping != '\0' || spec.precision >= 0) {
    return TemplateError("sign, '#', grouping and precision are not allowed with 'c'");
  }
  VALLM_ASSIGN_OR_RETURN(const std::string text, CharacterText(value));
  if (spec.align == '\0') spec.align = '>';
  return FormatText(text, spec);
}

absl::StatusOr<std::string> FormatValue(Runtime& runtime, const Value& value,
                                        std::string_view text) {
  if (text.empty()) return runtime.Str(value);
  VALLM_ASSIGN_OR_RETURN(FormatSpec spec, ParseSpec(text));
  const char type = spec.type;
  const auto unknown = [&] {
    return TemplateError("unknown format code '", std::string(1, type), "' for object of type '",
                         ToAbsl(value.TypeName()), "'");
  };
  if (value.is_str() && (type == '\0' || type == 's')) {
    if (spec.align == '=') return TemplateError("'=' alignment not allowed in string format");
    if (spec.sign != '-') return TemplateError("sign not allowed in string format specifier");
    if (spec.alternate) {
      return TemplateError("alternate form (#) not allowed in string format specifier");
    }
    if (spec.grouping != '\0') {
      return TemplateError("cannot specify '", std::string(1, spec.grouping), "' with 's'");
    }
    return FormatText(value.text(), spec);
  }
  const bool is_float = value.kind() == Value::Kind::kFloat;
  if (value.is_integral() && type == 'c') return FormatCharacter(value, spec);
  if (value.is_integral() &&
      std::string_view("dxXobn").find(type == '\0' ? 'd' : type) != std::string_view::npos) {
    if (spec.precision >= 0) {
      return TemplateError("precision not allowed in integer format specifier");
    }
    if (type == '\0') spec.type = 'd';
    VALLM_RETURN_IF_ERROR(runtime.Charge(FormatIntegerCost(AsBigInt(value))));
    return FormatInteger(AsBigInt(value), spec);
  }
  if (value.is_number() && (is_float || type != '\0')) {
    if (type != '\0' && std::string_view("eEfFgGn%").find(type) == std::string_view::npos) {
      return unknown();
    }
    return FormatFloat(AsDouble(value), spec);
  }
  if (value.is_str()) return unknown();
  return TemplateError("unsupported format string passed to ", ToAbsl(value.TypeName()),
                       ".__format__");
}

class StringFormatter {
 public:
  StringFormatter(Runtime& runtime, const CallArgs& args) : runtime_(runtime), args_(args) {}

  absl::StatusOr<std::string> Format(std::string_view format, int depth) {
    if (depth < 0) return TemplateError("max string recursion exceeded");
    std::string out;
    for (size_t pos = 0; pos < format.size();) {
      const char c = format[pos];
      const bool doubled = pos + 1 < format.size() && format[pos + 1] == c;
      if ((c == '{' || c == '}') && doubled) {
        out.push_back(c);
        pos += 2;
      } else if (c == '}') {
        return TemplateError("single '}' encountered in format string");
      } else if (c == '{') {
        const size_t end = FieldEnd(format, pos + 1);
        if (end == std::string_view::npos) {
          return TemplateError("expected '}' before end of string");
        }
        VALLM_ASSIGN_OR_RETURN(const std::string text,
                               Field(format.substr(pos + 1, end - pos - 1), depth));
        out += text;
        pos = end + 1;
      } else {
        out.push_back(c);
        ++pos;
      }
      VALLM_RETURN_IF_ERROR(runtime_.CheckStringSize(static_cast<double>(out.size())));
    }
    return out;
  }

 private:
  static size_t FieldEnd(std::string_view format, size_t pos) {
    int open = 1;
    for (; pos < format.size(); ++pos) {
      if (format[pos] == '{') ++open;
      if (format[pos] == '}' && --open == 0) return pos;
    }
    return std::string_view::npos;
  }

  absl::StatusOr<std::string> Field(std::string_view field, int depth) {
    const size_t name_end = std::min(field.find_first_of("!:"), field.size());
    VALLM_ASSIGN_OR_RETURN(Value value, Lookup(field.substr(0, name_end)));
    std::string_view rest = field.substr(name_end);
    if (!rest.empty() && rest[0] == '!') {
      if (rest.size() < 2) return TemplateError("end of string while looking for conversion");
      VALLM_ASSIGN_OR_RETURN(std::string text,
                             rest[1] == 's' ? runtime_.Str(value) : runtime_.ReprOf(value));
      if (rest[1] == 'a') text = EscapeNonAscii(text);
      if (rest[1] != 's' && rest[1] != 'r' && rest[1] != 'a') {
        return TemplateError("unknown conversion specifier in format string");
      }
      value = Value::Str(std::move(text));
      rest.remove_prefix(2);
    }
    if (!rest.empty() && rest[0] != ':') return TemplateError("expected ':' after conversion");
    VALLM_ASSIGN_OR_RETURN(const std::string spec,
                           Format(rest.empty() ? rest : rest.substr(1), depth - 1));
    return FormatValue(runtime_, value, spec);
  }

  absl::StatusOr<Value> Argument(std::string_view name) {
    size_t index = 0;
    const bool automatic = name.empty();
    if (automatic || AllDigits(name)) {
      if (numbering_.value_or(automatic) != automatic) {
        return TemplateError("cannot mix automatic and manual field numbering");
      }
      numbering_ = automatic;
    }
    if (automatic) {
      index = next_++;
    } else if (AllDigits(name)) {
      index = static_cast<size_t>(std::stoul(std::string(name)));
    } else {
      for (const auto& [key, value] : args_.keyword) {
        if (key == name) return value;
      }
      return TemplateError("KeyError: '", ToAbsl(name), "'");
    }
    if (index >= args_.positional.size()) {
      return TemplateError("replacement index ", index, " out of range for positional args tuple");
    }
    return args_.positional[index];
  }

  absl::StatusOr<Value> Lookup(std::string_view path) {
    size_t end = std::min(path.find_first_of(".["), path.size());
    VALLM_ASSIGN_OR_RETURN(Value value, Argument(path.substr(0, end)));
    path.remove_prefix(end);
    while (!path.empty()) {
      if (path[0] == '.') {
        end = std::min(path.find_first_of(".[", 1), path.size());
        if (end == 1) return TemplateError("empty attribute in format string");
        const Value name = Value::Str(std::string(path.substr(1, end - 1)));
        VALLM_ASSIGN_OR_RETURN(value, GetAttr(runtime_, value, name));
        path.remove_prefix(end);
        continue;
      }
      const size_t close = path.find(']');
      if (path[0] != '[' || close == std::string_view::npos) {
        return TemplateError("only '.' or '[' may follow ']' in format field specifier");
      }
      const std::string_view key = path.substr(1, close - 1);
      const Value index =
          AllDigits(key) ? Value::Int(BigInt::FromDigits(key, 10)) : Value::Str(std::string(key));
      VALLM_ASSIGN_OR_RETURN(value, GetItem(runtime_, value, index));
      path.remove_prefix(close + 1);
    }
    return value;
  }

  Runtime& runtime_;
  const CallArgs& args_;
  size_t next_ = 0;
  std::optional<bool> numbering_;  // whether fields are numbered by their place; unset: none yet
};

}  // namespace

absl::StatusOr<std::string> FormatString(Runtime& runtime, std::string_view format,
                                         const CallArgs& args) {
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(format.size() / 4)));
  return StringFormatter(runtime, args).Format(format, /*depth=*/2);
}

absl::StatusOr<std::string> ReplaceText(Runtime& runtime, std::string_view text,
                                        std::string_view from, std::string_view to, int64_t count) {
  std::string out;
  size_t pos = 0;
  for (int64_t left = count; left != 0; --left) {
    const size_t at = FindText(text, from, pos);
    if (at == std::string_view::npos) break;
    out.append(text.substr(pos, at - pos)).append(to);
    pos = at + from.size();
    VALLM_RETURN_IF_ERROR(runtime.CheckStringSize(static_cast<double>(out.size())));
    if (!from.empty()) continue;
    if (pos >= text.size()) return out;
    const size_t begin = pos;
    NextCodePoint(text, &pos);
    out.append(text.substr(begin, pos - begin));
  }
  out.append(text.substr(pos));
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>((text.size() + out.size()) / 16)));
  return out;
}

}  // namespace vallm::tokenizer
