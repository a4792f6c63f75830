// Filters on text.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/filters.h"
#include "tokenizer_service/template/markup.h"
#include "tokenizer_service/template/methods.h"
#include "tokenizer_service/template/pretty_print.h"
#include "tokenizer_service/template/printf_format.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/str_format.h"
#include "tokenizer_service/template/text_wrap.h"
#include "tokenizer_service/template/to_json.h"
#include "tokenizer_service/template/unicode.h"
#include "tokenizer_service/template/urlize.h"

namespace vallm::tokenizer {
namespace {

using Result = absl::StatusOr<Value>;

// markupsafe's soft_str: strings stay what they are, the rest is str().
Result Soft(Runtime& runtime, const Value& value) {
  if (value.is_str()) return value;
  VALLM_ASSIGN_OR_RETURN(std::string text, runtime.Str(value));
  return runtime.MakeStr(std::move(text));
}

Result Text(Runtime& runtime, CallArgs& args) { return Soft(runtime, args.positional[0]); }

constexpr char kUpper[] = "upper";
constexpr char kLower[] = "lower";
constexpr char kCapitalize[] = "capitalize";
constexpr char kStrip[] = "strip";
constexpr char kCenter[] = "center";

// The str method of the same name, applied to str(value).
template <const char* kMethod>
Result Method(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(args.positional[0], Soft(runtime, args.positional[0]));
  while (args.positional.back().is_missing()) args.positional.pop_back();
  const Builtin* method = FindMethod(args.positional[0], kMethod);
  return CallBuiltin(runtime, *method, std::move(args));
}

Result Center(Runtime& runtime, CallArgs& args) {
  if (args.positional[1].is_missing()) args.positional[1] = Value::Int(80);
  return Method<kCenter>(runtime, args);
}

// Words begin after white space and after - ( { [ <.
Result Title(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value self, Soft(runtime, args.positional[0]));
  const std::string_view text = self.text();
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(text.size())));  // words are copied
  const auto is_break = [](char32_t c) {
    return IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  std::string out;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    size_t first = begin;
    const bool gap = is_break(NextCodePoint(text, &first));
    while (end < text.size()) {
      size_t next = end;
      if (is_break(NextCodePoint(text, &next)) != gap) break;
      end = next;
    }
    const std::string_view word = text.substr(begin, end - begin);
    const size_t head = first - begin;
    absl::StrAppend(&out, ToUpper(word.substr(0, head)), ToLower(word.substr(head)));
    begin = end;
  }
  return runtime.MakeStr(std::move(out));
}

Result Replace(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string text, runtime.Str(args.positional[0]));
  VALLM_ASSIGN_OR_RETURN(const std::string from, runtime.Str(args.positional[1]));
  VALLM_ASSIGN_OR_RETURN(const std::string to, runtime.Str(args.positional[2]));
  VALLM_ASSIGN_OR_RETURN(const int64_t count,
                         HasArg(args, 3) ? IntArg(args, 3, -1) : absl::StatusOr<int64_t>(-1));
  VALLM_ASSIGN_OR_RETURN(std::string out, ReplaceText(runtime, text, from, to, count));
  return runtime.MakeStr(std::move(out));
}

Result Indent(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  if (value.is_undefined()) return UndefinedError(value);
  if (!value.is_str()) {
    return TemplateError("unsupported operand type(s) for +=: '", ToAbsl(value.TypeName()),
                         "' and 'str'");
  }
  std::string margin;
  if (args.positional[1].is_str()) {
    margin = std::string(args.positional[1].text());
  } else {
    VALLM_ASSIGN_OR_RETURN(const int64_t width, IntArg(args, 1, 4));
    VALLM_RETURN_IF_ERROR(runtime.CheckStringSize(static_cast<double>(width)));
    margin.assign(static_cast<size_t>(std::max<int64_t>(0, width)), ' ');
  }
  const bool first = BoolArg(args, 2, false);
  const bool blank = BoolArg(args, 3, false);
  const std::string text = absl::StrCat(ToAbsl(value.text()), "\n");
  std::string out = first ? margin : "";
  bool start = true;
  VALLM_ASSIGN_OR_RETURN(const auto lines, runtime.LinesOf(text, /*keep_ends=*/false));
  for (std::string_view line : lines) {
    if (!start) {
      out.push_back('\n');
      if (blank || !line.empty()) out += margin;
    }
    start = false;
    out += line;
    VALLM_RETURN_IF_ERROR(runtime.CheckStringSize(static_cast<double>(out.size())));
  }
  return runtime.MakeStr(std::move(out), value.str().markup());
}

Result Truncate(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  VALLM_ASSIGN_OR_RETURN(const int64_t length, IntArg(args, 1, 255));
  const bool kill_words = BoolArg(args, 2, false);
  VALLM_ASSIGN_OR_RETURN(const std::string_view end, StrArg(args, 3, "..."));
  VALLM_ASSIGN_OR_RETURN(const int64_t leeway,
                         HasArg(args, 4) ? IntArg(args, 4, 5) : absl::StatusOr<int64_t>(5));
  const int64_t end_length = CountCodePoints(end);
  if (length < end_length)
    return TemplateError("expected length >= ", end_length, ", got ", length);
  if (leeway < 0) return TemplateError("expected leeway >= 0, got ", leeway);
  // Whatever is short enough is returned as it is, be it text or a list.
  VALLM_ASSIGN_OR_RETURN(const Value actual,
                         CallBuiltin(runtime, *FindFilter("length"), {{value}, {}}));
  if (actual.int_value() <= length + leeway) return value;
  VALLM_ASSIGN_OR_RETURN(const std::string_view text, StrArg(args, 0, ""));
  std::string_view kept = text.substr(0, ByteOffset(text, length - end_length));
  if (!kill_words) kept = kept.substr(0, kept.rfind(' '));
  return runtime.MakeStr(absl::StrCat(ToAbsl(kept), ToAbsl(end)));
}

Result WordWrap(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string_view text, StrArg(args, 0, ""));
  VALLM_ASSIGN_OR_RETURN(const int64_t width, IntArg(args, 1, 79));
  if (width <= 0) return TemplateError("invalid width ", width, " (must be > 0)");
  const std::string_view newline = HasArg(args, 3) && args.positional[3].is_str()
                                       ? args.positional[3].text()
                                       : std::string_view("\n");
  const WrapOptions options{width, BoolArg(args, 2, true), BoolArg(args, 4, true)};
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(text.size())));
  std::string out;
  bool start = true;
  VALLM_ASSIGN_OR_RETURN(const auto lines, runtime.LinesOf(text, /*keep_ends=*/false));
  for (std::string_view line : lines) {
    if (!start) out += newline;
    start = false;
    bool first = true;
    for (const std::string& wrapped : WrapLine(line, options)) {
      if (!first) out += newline;
      first = false;
      out += wrapped;
      VALLM_RETURN_IF_ERROR(runtime.CheckStringSize(static_cast<double>(out.size())));
    }
    VALLM_RETURN_IF_ERROR(runtime.CheckStringSize(static_cast<double>(out.size())));
  }
  return runtime.MakeStr(std::move(out));
}

Result WordCount(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string text, runtime.Str(args.positional[0]));
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(text.size() / 8)));
  int64_t words = 0;
  bool inside = false;
  for (size_t pos = 0; pos < text.size();) {
    const bool word = IsWord(NextCodePoint(text, &pos));
    if (word && !inside) ++words;
    inside = word;
  }
  return Value::Int(words);
}

Result Escape(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value value, Soft(runtime, args.positional[0]));
  return runtime.MakeStr(EscapeUnlessMarkup(value), /*markup=*/true);
}

Result ForceEscape(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string text, runtime.Str(args.positional[0]));
  return runtime.MakeStr(EscapeHtml(text), /*markup=*/true);
}

Result Safe(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(std::string text, runtime.Str(args.positional[0]));
  return runtime.MakeStr(std::move(text), /*markup=*/true);
}

Result Strip(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string text, runtime.Str(args.positional[0]));
  return runtime.MakeStr(StripTags(text));
}

Result Format(Runtime& runtime, CallArgs& args) {
  if (args.positional.empty()) return TemplateError("format() missing required argument: 'value'");
  VALLM_ASSIGN_OR_RETURN(const Value format, Soft(runtime, args.positional[0]));
  args.positional.erase(args.positional.begin());
  if (!args.positional.empty() && !args.keyword.empty()) {
    return TemplateError("can't handle positional and keyword arguments at the same time");
  }
  if (args.keyword.empty()) {
    VALLM_ASSIGN_OR_RETURN(const Value tuple, runtime.MakeTuple(std::move(args.positional)));
    return PrintfFormat(runtime, format, tuple);
  }
  auto dict = std::make_unique<DictCell>();
  for (const auto& [name, value] : args.keyword) dict->Set(name, value);
  VALLM_ASSIGN_OR_RETURN(const Value mapping, runtime.MakeDict(std::move(dict)));
  return PrintfFormat(runtime, format, mapping);
}

std::string UrlQuote(std::string_view text, bool for_query) {
  std::string out;
  for (char c : text) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                       std::string_view("_.-~").find(c) != std::string_view::npos;
    if (plain || (c == '/' && !for_query)) {
      out.push_back(c);
    } else if (c == ' ' && for_query) {
      out.push_back('+');
    } else {
      absl::StrAppendFormat(&out, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Result UrlEncode(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  const bool pairs =
      value.is_dict() || (!value.is_str() && (value.is_list_or_tuple() || value.is_object()));
  if (!pairs) {
    VALLM_ASSIGN_OR_RETURN(const std::string text, runtime.Str(value));
    return runtime.MakeStr(UrlQuote(text, /*for_query=*/false));
  }
  std::vector<std::pair<Value, Value>> items;
  if (value.is_dict()) {
    items = value.dict().entries();
  } else {
    VALLM_ASSIGN_OR_RETURN(const Value list, runtime.Iterate(value));
    for (const Value& pair : list.items()) {
      VALLM_ASSIGN_OR_RETURN(const Value parts, runtime.Iterate(pair));
      if (parts.items().size() != 2) return TemplateError("urlencode needs pairs");
      items.emplace_back(parts.items()[0], parts.items()[1]);
    }
  }
  std::string out;
  for (const auto& [key, item] : items) {
    VALLM_ASSIGN_OR_RETURN(const std::string name, runtime.Str(key));
    VALLM_ASSIGN_OR_RETURN(const std::string text, runtime.Str(item));
    if (!out.empty()) out.push_back('&');
    absl::StrAppend(&out, UrlQuote(name, true), "=", UrlQuote(text, true));
  }
  return runtime.MakeStr(std::move(out));
}

Result XmlAttr(Runtime& runtime, CallArgs& args) {
  const Value& value = args.positional[0];
  if (!value.is_dict()) return TemplateError("xmlattr needs a mapping");
  std::string out;
  for (const auto& [key, item] : value.dict().entries()) {
    if (item.is_none() || item.is_undefined()) continue;
    if (!key.is_str()) return TemplateError("attribute name ", Repr(key), " is not a string");
    const std::string name(key.text());
    if (name.find_first_of(" \t\n\r\f/>=") != std::string::npos) {
      return TemplateError("invalid character in attribute name: ", Repr(key));
    }
    VALLM_ASSIGN_OR_RETURN(const std::string text, runtime.Str(item));
    absl::StrAppend(&out, out.empty() ? "" : " ", EscapeHtml(name), "=\"", EscapeHtml(text), "\"");
  }
  if (!out.empty() && BoolArg(args, 1, true)) out.insert(0, " ");
  return runtime.MakeStr(std::move(out));
}

Result ToJson(Runtime& runtime, CallArgs& args) {
  JsonOptions options;
  options.ascii = BoolArg(args, 1, false);
  if (HasArg(args, 2)) {
    const Value& indent = args.positional[2];
    if (indent.is_str()) {
      options.indent = std::string(indent.text());
    } else {
      VALLM_ASSIGN_OR_RETURN(const int64_t width, IntArg(args, 2, 0));
      if (width > 1000) return TemplateError("tojson indent of ", width, " is too wide");
      options.indent = std::string(static_cast<size_t>(std::max<int64_t>(0, width)), ' ');
    }
    options.item_separator = ",";
  }
  if (HasArg(args, 3)) {
    VALLM_ASSIGN_OR_RETURN(const Value pair, runtime.Iterate(args.positional[3]));
    if (pair.items().size() != 2 || !pair.items()[0].is_str() || !pair.items()[1].is_str()) {
      return TemplateError("tojson separators must be two strings");
    }
    options.item_separator = std::string(pair.items()[0].text());
    options.key_separator = std::string(pair.items()[1].text());
  }
  options.sort_keys = BoolArg(args, 4, false);
  VALLM_ASSIGN_OR_RETURN(std::string text, DumpJson(runtime, args.positional[0], options));
  return runtime.MakeStr(std::move(text));
}

Result Pretty(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(std::string text, PrettyPrint(runtime, args.positional[0]));
  return runtime.MakeStr(std::move(text));
}

// The words of rel=, each once and in order.
std::string LinkRelations(std::string_view given, bool nofollow) {
  std::set<std::string> words = {"noopener"};
  if (nofollow) words.insert("nofollow");
  for (std::string_view rest = StripSpace(given, true, false); !rest.empty();) {
    size_t end = 0;
    for (size_t next = 0; end < rest.size(); end = next) {
      if (IsSpace(NextCodePoint(rest, &next))) break;
    }
    words.emplace(rest.substr(0, end));
    rest = StripSpace(rest.substr(end), true, false);
  }
  return absl::StrJoin(words, " ");
}

Result LinkUrls(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value value, Soft(runtime, args.positional[0]));
  UrlizeOptions options;
  if (HasArg(args, 1)) {
    VALLM_ASSIGN_OR_RETURN(options.trim_url_limit, IntArg(args, 1, 0));
  }
  if (HasArg(args, 3)) {
    VALLM_ASSIGN_OR_RETURN(options.target, runtime.Str(args.positional[3]));
  }
  VALLM_ASSIGN_OR_RETURN(const std::string_view rel,
                         HasArg(args, 4) ? StrArg(args, 4, "") : std::string_view());
  options.rel = LinkRelations(rel, BoolArg(args, 2, false));
  if (HasArg(args, 5)) {
    VALLM_ASSIGN_OR_RETURN(const Value schemes, runtime.Iterate(args.positional[5]));
    for (const Value& scheme : schemes.items()) {
      if (!scheme.is_str() || !IsUriScheme(scheme.text())) {
        return TemplateError(Repr(scheme), " is not a valid URI scheme prefix");
      }
      options.extra_schemes.emplace_back(scheme.text());
    }
  }
  // A link repeats its address, its attributes and, for each scheme, the link itself.
  const std::string text = EscapeUnlessMarkup(value);
  const auto factor = static_cast<int64_t>(4 + options.extra_schemes.size());
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(text.size() / 4) * factor));
  std::string linked = Urlize(text, options, runtime.limits().max_string_bytes);
  VALLM_RETURN_IF_ERROR(runtime.CheckStringSize(static_cast<double>(linked.size())));
  return runtime.MakeStr(std::move(linked));
}

}  // namespace

std::vector<Builtin> TextFilters() {
  const std::vector<std::string_view> s = {"s"};
  const std::vector<std::string_view> value = {"value"};
  return {
      {"string", &Text, 1, s},
      {"upper", &Method<kUpper>, 1, s},
      {"lower", &Method<kLower>, 1, s},
      {"capitalize", &Method<kCapitalize>, 1, s},
      {"title", &Title, 1, s},
      {"trim", &Method<kStrip>, 1, {"value", "chars"}},
      {"center", &Center, 1, {"value", "width"}},
      {"replace", &Replace, 3, {"s", "old", "new", "count"}},
      {"indent", &Indent, 1, {"s", "width", "first", "blank"}},
      {"truncate", &Truncate, 1, {"s", "length", "killwords", "end", "leeway"}},
      {"wordwrap",
       &WordWrap,
       1,
       {"s", "width", "break_long_words", "wrapstring", "break_on_hyphens"}},
      {"wordcount", &WordCount, 1, s},
      {"escape", &Escape, 1, s},
      {"e", &Escape, 1, s},
      {"forceescape", &ForceEscape, 1, value},
      {"safe", &Safe, 1, value},
      {"striptags", &Strip, 1, value},
      {"format", &Format, Builtin::kVariadic, {}},
      {"urlencode", &UrlEncode, 1, value},
      {"urlize",
       &LinkUrls,
       1,
       {"value", "trim_url_limit", "nofollow", "target", "rel", "extra_schemes"}},
      {"xmlattr", &XmlAttr, 1, {"d", "autospace"}},
      {"pprint", &Pretty, 1, value},
      {"tojson", &ToJson, 1, {"x", "ensure_ascii", "indent", "separators", "sort_keys"}},
  };
}

}  // namespace vallm::tokenizer
