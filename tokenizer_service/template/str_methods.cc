// Methods of str that make strings and classify them.
#include <algorithm>
#include <utility>

#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/markup.h"
#include "tokenizer_service/template/methods.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/str_format.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

using Result = absl::StatusOr<Value>;

Result Like(Runtime& runtime, const CallArgs& args, std::string text) {
  return runtime.MakeStr(std::move(text), args.positional[0].str().markup());
}

template <std::string (*kMap)(std::string_view)>
Result Mapped(Runtime& runtime, CallArgs& args) {
  const std::string_view text = args.positional[0].text();
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(text.size() / 8)));
  return Like(runtime, args, kMap(text));
}

template <bool kLeft, bool kRight>
Result Strip(Runtime& runtime, CallArgs& args) {
  const Value& self = args.positional[0];
  std::string_view stripped;
  size_t chars_size = 0;
  if (HasArg(args, 1)) {
    if (!args.positional[1].is_str()) {
      return TemplateError("strip arg must be None or str, not ",
                           ToAbsl(args.positional[1].TypeName()));
    }
    const std::string_view chars = args.positional[1].text();
    VALLM_RETURN_IF_ERROR(runtime.Charge(
        static_cast<int64_t>(std::min(self.text().size(), size_t{1} << 20) * (chars.size() / 16))));
    chars_size = chars.size();
    stripped = StripChars(self.text(), chars, kLeft, kRight);
  } else {
    stripped = StripSpace(self.text(), kLeft, kRight);
  }
  const size_t removed = self.text().size() - stripped.size();
  if (removed == 0) return self;
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(removed / 8 * (1 + chars_size / 16))));
  return Like(runtime, args, std::string(stripped));
}

// Every code point passes, there is at least one (or empty is allowed).
template <bool (*kPredicate)(char32_t), bool kEmpty = false>
Result All(Runtime& runtime, CallArgs& args) {
  const std::string_view text = args.positional[0].text();
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(text.size() / 8)));
  for (size_t pos = 0; pos < text.size();) {
    if (!kPredicate(NextCodePoint(text, &pos))) return Value::Bool(false);
  }
  return Value::Bool(kEmpty || !text.empty());
}

bool IsAscii(char32_t c) { return c < 0x80; }

template <bool (*kWanted)(char32_t), bool (*kOther)(char32_t)>
Result AllCased(Runtime& runtime, CallArgs& args) {
  const std::string_view text = args.positional[0].text();
  bool found = false;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = NextCodePoint(text, &pos);
    if (kOther(c) || IsTitle(c)) return Value::Bool(false);
    found = found || kWanted(c);
  }
  return Value::Bool(found);
}

Result IsTitleCased(Runtime& runtime, CallArgs& args) {
  const std::string_view text = args.positional[0].text();
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(text.size() / 8)));
  bool previous = false;
  bool found = false;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = NextCodePoint(text, &pos);
    const bool start = IsUpper(c) || IsTitle(c);
    const bool lower = IsLower(c);
    if (start ? previous : lower && !previous) return Value::Bool(false);
    previous = start || lower;
    found = found || previous;
  }
  return Value::Bool(found);
}

Result IsIdentifierText(Runtime& runtime, CallArgs& args) {
  const std::string_view text = args.positional[0].text();
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(text.size() / 8)));
  return Value::Bool(IsIdentifier(text));
}

// Pads to `width` code points: `left` of the padding goes before the text.
Result Pad(Runtime& runtime, CallArgs& args, double share) {
  const StrCell& self = args.positional[0].str();
  VALLM_ASSIGN_OR_RETURN(const int64_t width, IntArg(args, 1, 0));
  VALLM_ASSIGN_OR_RETURN(const std::string_view fill, StrArg(args, 2, " "));
  if (CountCodePoints(fill) != 1) {
    return TemplateError("the fill character must be exactly one character long");
  }
  const int64_t pad = width - self.length();
  if (pad <= 0) return args.positional[0];
  VALLM_RETURN_IF_ERROR(
      runtime.CheckStringSize(static_cast<double>(pad) * static_cast<double>(fill.size()) +
                              static_cast<double>(self.text().size())));
  // Python puts the odd one left when the width is odd.
  const int64_t left = share == 0.5 ? pad / 2 + (pad & width & 1) : share == 1 ? pad : 0;
  std::string text;
  for (int64_t i = 0; i < left; ++i) text += fill;
  text += self.text();
  for (int64_t i = left; i < pad; ++i) text += fill;
  return Like(runtime, args, std::move(text));
}

Result Center(Runtime& runtime, CallArgs& args) { return Pad(runtime, args, 0.5); }
Result LJust(Runtime& runtime, CallArgs& args) { return Pad(runtime, args, 0); }
Result RJust(Runtime& runtime, CallArgs& args) { return Pad(runtime, args, 1); }

Result ZFill(Runtime& runtime, CallArgs& args) {
  const StrCell& self = args.positional[0].str();
  VALLM_ASSIGN_OR_RETURN(const int64_t width, IntArg(args, 1, 0));
  const int64_t pad = width - self.length();
  if (pad <= 0) return args.positional[0];
  VALLM_RETURN_IF_ERROR(runtime.CheckStringSize(static_cast<double>(width)));
  const bool sign = !self.text().empty() && (self.text()[0] == '-' || self.text()[0] == '+');
  return Like(runtime, args,
              self.text().substr(0, sign ? 1 : 0) + std::string(static_cast<size_t>(pad), '0') +
                  self.text().substr(sign ? 1 : 0));
}

Result Replace(Runtime& runtime, CallArgs& args) {
  const Value& self = args.positional[0];
  VALLM_ASSIGN_OR_RETURN(const std::string_view raw_old, StrArg(args, 1, ""));
  VALLM_ASSIGN_OR_RETURN(const std::string_view raw_new, StrArg(args, 2, ""));
  VALLM_ASSIGN_OR_RETURN(const int64_t count, IntArg(args, 3, -1));
  const bool markup = self.str().markup();
  const std::string from = markup ? EscapeUnlessMarkup(args.positional[1]) : std::string(raw_old);
  const std::string to = markup ? EscapeUnlessMarkup(args.positional[2]) : std::string(raw_new);
  VALLM_ASSIGN_OR_RETURN(std::string text, ReplaceText(runtime, self.text(), from, to, count));
  return Like(runtime, args, std::move(text));
}

Result ExpandTabs(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const int64_t size, IntArg(args, 1, 8));
  std::string out;
  int64_t column = 0;
  const std::string_view text = args.positional[0].text();
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const char32_t c = NextCodePoint(text, &pos);
    if (c == '\t') {
      const int64_t spaces = size > 0 ? size - column % size : 0;
      VALLM_RETURN_IF_ERROR(
          runtime.CheckStringSize(static_cast<double>(out.size()) + static_cast<double>(spaces)));
      out.append(static_cast<size_t>(spaces), ' ');
      column += spaces;
      continue;
    }
    out.append(text.substr(begin, pos - begin));
    column = c == '\n' || c == '\r' ? 0 : column + 1;
  }
  return Like(runtime, args, std::move(out));
}

template <bool kPrefix>
Result RemoveAffix(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string_view affix, StrArg(args, 1, ""));
  const std::string_view text = args.positional[0].text();
  if (affix.empty() || text.size() < affix.size()) return args.positional[0];
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(affix.size() / 64)));
  if (kPrefix && text.substr(0, affix.size()) == affix) {
    return Like(runtime, args, std::string(text.substr(affix.size())));
  }
  if (!kPrefix && text.substr(text.size() - affix.size()) == affix) {
    return Like(runtime, args, std::string(text.substr(0, text.size() - affix.size())));
  }
  return args.positional[0];
}

Result Join(Runtime& runtime, CallArgs& args) {
  const Value& self = args.positional[0];
  VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(args.positional[1]));
  const bool markup = self.str().markup();
  std::string text;
  for (size_t i = 0; i < items.items().size(); ++i) {
    const Value& item = items.items()[i];
    if (!item.is_str()) {
      return TemplateError("sequence item ", i, ": expected str instance, ",
                           ToAbsl(item.TypeName()), " found");
    }
    if (i != 0) text += self.text();
    text += markup ? EscapeUnlessMarkup(item) : std::string(item.text());
    VALLM_RETURN_IF_ERROR(runtime.CheckStringSize(static_cast<double>(text.size())));
  }
  return Like(runtime, args, std::move(text));
}

Result Format(Runtime& runtime, CallArgs& args) {
  const Value self = args.positional[0];
  args.positional.erase(args.positional.begin());
  VALLM_ASSIGN_OR_RETURN(std::string text, FormatString(runtime, self.text(), args));
  return runtime.MakeStr(std::move(text), self.str().markup());
}

Result FormatMap(Runtime& runtime, CallArgs& args) {
  if (!args.positional[1].is_dict()) return TemplateError("format_map() takes a mapping");
  CallArgs named;
  for (const auto& [key, value] : args.positional[1].dict().entries()) {
    if (key.is_str()) named.keyword.emplace_back(std::string(key.text()), value);
  }
  VALLM_ASSIGN_OR_RETURN(std::string text, FormatString(runtime, args.positional[0].text(), named));
  return Like(runtime, args, std::move(text));
}

}  // namespace

std::vector<Builtin> StrMethods() {
  const std::vector<std::string_view> self = {"self"};
  const std::vector<std::string_view> chars = {"self", "chars"};
  const std::vector<std::string_view> width = {"self", "width", "fillchar"};
  return {
      {"upper", &Mapped<ToUpper>, 1, self},
      {"lower", &Mapped<ToLower>, 1, self},
      {"title", &Mapped<ToTitle>, 1, self},
      {"capitalize", &Mapped<ToCapitalized>, 1, self},
      {"swapcase", &Mapped<SwapCase>, 1, self},
      {"casefold", &Mapped<CaseFold>, 1, self},
      {"strip", &Strip<true, true>, 1, chars},
      {"lstrip", &Strip<true, false>, 1, chars},
      {"rstrip", &Strip<false, true>, 1, chars},
      {"isspace", &All<IsSpace>, 1, self},
      {"isalpha", &All<IsAlpha>, 1, self},
      {"isalnum", &All<IsAlnum>, 1, self},
      {"isdecimal", &All<IsDecimal>, 1, self},
      {"isdigit", &All<IsDigit>, 1, self},
      {"isnumeric", &All<IsNumeric>, 1, self},
      {"isprintable", &All<IsPrintable, true>, 1, self},
      {"isascii", &All<IsAscii, true>, 1, self},
      {"islower", &AllCased<IsLower, IsUpper>, 1, self},
      {"isupper", &AllCased<IsUpper, IsLower>, 1, self},
      {"istitle", &IsTitleCased, 1, self},
      {"isidentifier", &IsIdentifierText, 1, self},
      {"center", &Center, 2, width},
      {"ljust", &LJust, 2, width},
      {"rjust", &RJust, 2, width},
      {"zfill", &ZFill, 2, {"self", "width"}},
      {"replace", &Replace, 3, {"self", "old", "new", "count"}},
      {"expandtabs", &ExpandTabs, 1, {"self", "tabsize"}},
      {"removeprefix", &RemoveAffix<true>, 2, {"self", "prefix"}},
      {"removesuffix", &RemoveAffix<false>, 2, {"self", "suffix"}},
      {"join", &Join, 2, {"self", "iterable"}},
      {"format", &Format, Builtin::kVariadic, {}},
      {"format_map", &FormatMap, 2, {"self", "mapping"}},
  };
}

}  // namespace vallm::tokenizer
