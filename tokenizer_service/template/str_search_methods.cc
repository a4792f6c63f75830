// Methods of str that search and split.
#include <algorithm>
#include <utility>

#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/methods.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

using Result = absl::StatusOr<Value>;

// The bytes [begin, end) of `self` that the optional arguments `first` and `first` + 1 select.
struct Window {
  size_t begin = 0;
  size_t end = 0;
  bool valid = true;  // false: start lies beyond the end
};

absl::StatusOr<Window> SelectWindow(Runtime& runtime, const CallArgs& args, size_t first) {
  const StrCell& self = args.positional[0].str();
  Window window{0, self.text().size(), true};
  if (!HasArg(args, first) && !HasArg(args, first + 1)) return window;
  VALLM_RETURN_IF_ERROR(runtime.Charge(self.length() / 8));
  int64_t bounds[2] = {0, self.length()};
  for (size_t i = 0; i < 2; ++i) {
    if (!HasArg(args, first + i)) continue;
    VALLM_ASSIGN_OR_RETURN(bounds[i], IntArg(args, first + i, 0));
    if (bounds[i] < 0) bounds[i] = std::max<int64_t>(0, bounds[i] + self.length());
  }
  window.valid = bounds[0] <= self.length() && bounds[0] <= bounds[1];
  window.begin = ByteOffset(self.text(), std::min(bounds[0], self.length()));
  window.end = ByteOffset(self.text(), std::min(bounds[1], self.length()));
  return window;
}

// A search from the right compares anew at each place: long needles pay for that.
absl::Status ChargeSearch(Runtime& runtime, std::string_view text, std::string_view what,
                          bool from_right) {
  const int64_t units = static_cast<int64_t>(text.size() / 16);
  if (!from_right || what.size() <= 16) return runtime.Charge(units);
  return runtime.Charge(units * static_cast<int64_t>(std::min(what.size(), text.size()) / 16));
}

absl::StatusOr<int64_t> FindIn(Runtime& runtime, const CallArgs& args, bool from_right) {
  VALLM_ASSIGN_OR_RETURN(const std::string_view what, StrArg(args, 1, ""));
  VALLM_ASSIGN_OR_RETURN(const Window window, SelectWindow(runtime, args, 2));
  const std::string_view text = args.positional[0].text();
  VALLM_RETURN_IF_ERROR(ChargeSearch(runtime, text, what, from_right));
  if (!window.valid) return -1;
  const std::string_view part = text.substr(window.begin, window.end - window.begin);
  const size_t at = from_right ? part.rfind(what) : FindText(part, what);
  if (at == std::string_view::npos) return -1;
  return CountCodePoints(text.substr(0, window.begin + at));
}

template <bool kFromRight, bool kMustExist>
Result Find(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const int64_t at, FindIn(runtime, args, kFromRight));
  if (kMustExist && at < 0) return TemplateError("substring not found");
  return Value::Int(at);
}

Result Count(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string_view what, StrArg(args, 1, ""));
  VALLM_ASSIGN_OR_RETURN(const Window window, SelectWindow(runtime, args, 2));
  if (!window.valid) return Value::Int(0);
  const std::string_view text =
      args.positional[0].text().substr(window.begin, window.end - window.begin);
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(text.size() / 8)));
  if (what.empty()) return Value::Int(CountCodePoints(text) + 1);
  int64_t count = 0;
  for (size_t at = FindText(text, what); at != std::string_view::npos;
       at = FindText(text, what, at + what.size())) {
    ++count;
  }
  return Value::Int(count);
}

bool HasAffix(std::string_view text, std::string_view affix, bool at_end) {
  if (text.size() < affix.size()) return false;
  return text.substr(at_end ? text.size() - affix.size() : 0, affix.size()) == affix;
}

template <bool kAtEnd>
Result Affix(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Window window, SelectWindow(runtime, args, 2));
  const std::string_view text =
      args.positional[0].text().substr(window.begin, window.end - window.begin);
  const Value& affix = args.positional[1];
  VALLM_RETURN_IF_ERROR(runtime.Charge(affix.Weight() / 4));
  if (affix.is_str()) return Value::Bool(window.valid && HasAffix(text, affix.text(), kAtEnd));
  if (affix.kind() == Value::Kind::kTuple) {
    for (const Value& one : affix.items()) {
      if (!one.is_str()) return TemplateError("tuple for startswith must only contain str");
      if (window.valid && HasAffix(text, one.text(), kAtEnd)) return Value::Bool(true);
    }
    return Value::Bool(false);
  }
  return TemplateError(kAtEnd ? "endswith" : "startswith",
                       " first arg must be str or a tuple of str, not ", ToAbsl(affix.TypeName()));
}

using Pieces = std::vector<std::string_view>;

// Both splits work from the left on what `from_right` has mirrored; limits < 0 mean no limit. More
// pieces than a list may have are not made: `most` ends the work one piece later.
Pieces SplitSpace(std::string_view text, int64_t limit, bool from_right, size_t most) {
  Pieces pieces;
  text = StripSpace(text, /*left=*/!from_right, /*right=*/from_right);
  while (!text.empty() && pieces.size() <= most) {
    if (limit == 0) {
      pieces.push_back(text);
      break;
    }
    size_t begin = from_right ? text.size() : 0;
    size_t gap = begin;
    while (from_right ? begin > 0 : gap < text.size()) {
      size_t next = from_right ? begin : gap;
      const char32_t c = from_right ? PreviousCodePoint(text, &next) : NextCodePoint(text, &next);
      if (IsSpace(c)) break;
      (from_right ? begin : gap) = next;
    }
    pieces.push_back(from_right ? text.substr(begin) : text.substr(0, gap));
    text = from_right ? StripSpace(text.substr(0, begin), false, true)
                      : StripSpace(text.substr(gap), true, false);
    --limit;
  }
  if (from_right) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

Pieces SplitAt(std::string_view text, std::string_view separator, int64_t limit, bool from_right,
               size_t most) {
  Pieces pieces;
  while (limit != 0 && pieces.size() <= most) {
    const size_t at = from_right ? text.rfind(separator) : FindText(text, separator);
    if (at == std::string_view::npos) break;
    const std::string_view tail = text.substr(at + separator.size());
    const std::string_view head = text.substr(0, at);
    pieces.push_back(from_right ? tail : head);
    text = from_right ? head : tail;
    --limit;
  }
  pieces.push_back(text);
  if (from_right) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

Result ToList(Runtime& runtime, const Value& self, const Pieces& pieces) {
  std::vector<Value> items;
  items.reserve(pieces.size());
  VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(self.text().size() / 16)));
  VALLM_RETURN_IF_ERROR(runtime.CheckElements(static_cast<double>(pieces.size())));
  for (std::string_view piece : pieces) {
    items.push_back(Value::Str(std::string(piece), self.str().markup()));
  }
  return runtime.MakeList(std::move(items));
}

template <bool kFromRight>
Result Split(Runtime& runtime, CallArgs& args) {
  const Value& self = args.positional[0];
  VALLM_ASSIGN_OR_RETURN(const int64_t limit, IntArg(args, 2, -1));
  const size_t most = static_cast<size_t>(runtime.limits().max_elements);
  if (!HasArg(args, 1)) {
    VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(self.text().size() / 8)));
    return ToList(runtime, self, SplitSpace(self.text(), limit, kFromRight, most));
  }
  if (!args.positional[1].is_str()) {
    return TemplateError("must be str or None, not ", ToAbsl(args.positional[1].TypeName()));
  }
  const std::string_view separator = args.positional[1].text();
  if (separator.empty()) return TemplateError("empty separator");
  VALLM_RETURN_IF_ERROR(ChargeSearch(runtime, self.text(), separator, kFromRight));
  return ToList(runtime, self, SplitAt(self.text(), separator, limit, kFromRight, most));
}

Result SplitIntoLines(Runtime& runtime, CallArgs& args) {
  const Value& self = args.positional[0];
  VALLM_ASSIGN_OR_RETURN(const Pieces lines, runtime.LinesOf(self.text(), BoolArg(args, 1, false)));
  return ToList(runtime, self, lines);
}

template <bool kFromRight>
Result Partition(Runtime& runtime, CallArgs& args) {
  const Value& self = args.positional[0];
  VALLM_ASSIGN_OR_RETURN(const std::string_view separator, StrArg(args, 1, ""));
  if (separator.empty()) return TemplateError("empty separator");
  const std::string_view text = self.text();
  VALLM_RETURN_IF_ERROR(ChargeSearch(runtime, text, separator, kFromRight));
  const size_t at = kFromRight ? text.rfind(separator) : FindText(text, separator);
  Pieces parts;
  if (at == std::string_view::npos) {
    parts = kFromRight ? Pieces{"", "", text} : Pieces{text, "", ""};
  } else {
    parts = {text.substr(0, at), separator, text.substr(at + separator.size())};
  }
  VALLM_ASSIGN_OR_RETURN(const Value list, ToList(runtime, self, parts));
  return runtime.MakeTuple(list.items());
}

}  // namespace

std::vector<Builtin> StrSearchMethods() {
  const std::vector<std::string_view> find = {"self", "sub", "start", "end"};
  const std::vector<std::string_view> split = {"self", "sep", "maxsplit"};
  return {
      {"find", &Find<false, false>, 2, find},
      {"rfind", &Find<true, false>, 2, find},
      {"index", &Find<false, true>, 2, find},
      {"rindex", &Find<true, true>, 2, find},
      {"count", &Count, 2, find},
      {"startswith", &Affix<false>, 2, {"self", "prefix", "start", "end"}},
      {"endswith", &Affix<true>, 2, {"self", "suffix", "start", "end"}},
      {"split", &Split<false>, 1, split},
      {"rsplit", &Split<true>, 1, split},
      {"splitlines", &SplitIntoLines, 1, {"self", "keepends"}},
      {"partition", &Partition<false>, 2, {"self", "sep"}},
      {"rpartition", &Partition<true>, 2, {"self", "sep"}},
  };
}

}  // namespace vallm::tokenizer
