#include "tokenizer_service/template/pretty_print.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "tokenizer_service/template/numbers.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

constexpr int64_t kWidth = 80;

// Keys that Python cannot compare are ordered by the names of their types: "<class 'NoneType'>",
// "<class 'bool'>" ... The numbers are one group, for they do compare.
int TypeRank(const Value& key) {
  if (key.is_none()) return 0;
  if (key.is_number()) return 1;
  if (key.is_str()) return 2;
  return key.is_list_or_tuple() ? 3 : 4;
}

bool KeyLess(const Value& a, const Value& b) {
  if (TypeRank(a) != TypeRank(b)) return TypeRank(a) < TypeRank(b);
  if (a.is_number()) return CompareNumbers(a, b) == NumberOrder::kLess;
  if (a.is_str()) return a.text() < b.text();
  if (!a.is_list_or_tuple()) return false;
  const auto& x = a.items();
  const auto& y = b.items();
  for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
    if (!Equals(x[i], y[i])) return KeyLess(x[i], y[i]);
  }
  return x.size() < y.size();
}

std::vector<DictCell::Entry> SortedEntries(const DictCell& dict) {
  std::vector<DictCell::Entry> entries = dict.entries();
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return KeyLess(a.first, b.first); });
  return entries;
}

// Markup and the rows of groupby print themselves.
bool IsPlain(const Value& value) {
  return value.is_str() ? !value.str().markup() : !value.is_group();
}

// repr() with sorted keys. Stops early once `out` is longer than `limit` bytes.
void AppendFlat(const Value& value, size_t limit, std::string* out) {
  if (value.is_dict()) {
    if (value.dict().size() > limit) {  // not worth sorting
      out->append(limit + 1, ' ');
      return;
    }
    out->push_back('{');
    bool first = true;
    for (const auto& [key, item] : SortedEntries(value.dict())) {
      if (out->size() > limit) return;
      if (!first) out->append(", ");
      first = false;
      AppendFlat(key, limit, out);
      out->append(": ");
      AppendFlat(item, limit, out);
    }
    out->push_back('}');
    return;
  }
  if (!value.is_list_or_tuple() || value.is_group()) return AppendRepr(value, limit, out);
  const bool list = value.kind() == Value::Kind::kList;
  out->push_back(list ? '[' : '(');
  bool first = true;
  for (const Value& item : value.items()) {
    if (out->size() > limit) return;
    if (!first) out->append(", ");
    first = false;
    AppendFlat(item, limit, out);
  }
  out->append(list ? "]" : value.items().size() == 1 ? ",)" : ")");
}

std::string Quoted(std::string_view text) {
  std::string out;
  AppendRepr(Value::Str(std::string(text)), SIZE_MAX, &out);
  return out;
}

// How wide a string literal is, of text that comes in pieces.
class LiteralWidth {
 public:
  void Add(std::string_view text) {
    for (size_t pos = 0; pos < text.size();) {
      const char32_t c = NextCodePoint(text, &pos);
      if (c == '\'') ++singles_;
      if (c == '"') ++doubles_;
      rest_ += c == '\\' || c == '\n' || c == '\r' || c == '\t' ? 2
               : IsPrintable(c)                                 ? 1
               : c < 0x100                                      ? 4
               : c < 0x10000                                    ? 6
                                                                : 10;
    }
  }
  // Single quotes are escaped where double ones are in the text too.
  int64_t columns() const { return 2 + rest_ + (doubles_ != 0 ? singles_ : 0); }

 private:
  int64_t singles_ = 0;
  int64_t doubles_ = 0;
  int64_t rest_ = 0;
};

// Runs of other characters, each with the white space behind it.
std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  size_t begin = 0;
  bool space = false;
  for (size_t pos = 0; pos < line.size();) {
    const size_t at = pos;
    const bool now = IsSpace(NextCodePoint(line, &pos));
    if (space && !now) {
      words.push_back(line.substr(begin, at - begin));
      begin = at;
    }
    space = now;
  }
  words.push_back(line.substr(begin));
  return words;
}

class Printer {
 public:
  explicit Printer(Runtime& runtime) : runtime_(runtime) {}

  // Writes `value` at column `indent` with `allowance` columns to spare behind it. `level` counts
  // the containers around it, from 1.
  absl::Status Format(const Value& value, int64_t indent, int64_t allowance, int level) {
    const int64_t room = kWidth - indent - allowance;
    // A character takes four bytes at most, so more bytes than that cannot fit.
    const size_t limit = static_cast<size_t>(std::max<int64_t>(0, room)) * 4 + 16;
    std::string flat;
    AppendFlat(value, limit, &flat);
    VALLM_RETURN_IF_ERROR(runtime_.Charge(1 + static_cast<int64_t>(flat.size() / 16)));
    if (flat.size() <= limit && CountCodePoints(flat) <= room) return Write(flat);
    if (value.is_dict()) return FormatDict(value.dict(), indent, allowance, level);
    if (value.is_list_or_tuple() && IsPlain(value)) {
      const bool list = value.kind() == Value::Kind::kList;
      const std::string_view close = list ? "]" : value.items().size() == 1 ? ",)" : ")";
      VALLM_RETURN_IF_ERROR(Write(list ? "[" : "("));
      VALLM_RETURN_IF_ERROR(FormatItems(value.items(), indent + 1,
                                        allowance + static_cast<int64_t>(close.size()), level));
      return Write(close);
    }
    const bool text = value.is_str() && IsPlain(value) && !value.text().empty();
    if (text) return FormatText(value.text(), indent, allowance, level);
    VALLM_ASSIGN_OR_RETURN(const std::string other, runtime_.ReprOf(value));
    return Write(other);
  }

  std::string Take() { return std::move(out_); }

 private:
  absl::Status Write(std::string_view text) {
    out_.append(text);
    return runtime_.CheckStringSize(static_cast<double>(out_.size()));
  }

  absl::Status NewLine(int64_t indent) {
    VALLM_RETURN_IF_ERROR(runtime_.Charge(1 + indent / 16));
    return Write("\n" + std::string(static_cast<size_t>(indent), ' '));
  }

  absl::Status FormatDict(const DictCell& dict, int64_t indent, int64_t allowance, int level) {
    VALLM_RETURN_IF_ERROR(Write("{"));
    const std::vector<DictCell::Entry> entries = SortedEntries(dict);
    VALLM_RETURN_IF_ERROR(runtime_.Charge(static_cast<int64_t>(entries.size())));
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i != 0) {
        VALLM_RETURN_IF_ERROR(Write(","));
        VALLM_RETURN_IF_ERROR(NewLine(indent + 1));
      }
      std::string key;
      AppendFlat(entries[i].first, runtime_.limits().max_string_bytes, &key);
      VALLM_RETURN_IF_ERROR(Write(key));
      VALLM_RETURN_IF_ERROR(Write(": "));
      const bool last = i + 1 == entries.size();
      VALLM_RETURN_IF_ERROR(Format(entries[i].second, indent + 1 + CountCodePoints(key) + 2,
                                   last ? allowance + 1 : 1, level + 1));
    }
    return Write("}");
  }

  absl::Status FormatItems(const std::vector<Value>& items, int64_t indent, int64_t allowance,
                           int level) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (i != 0) {
        VALLM_RETURN_IF_ERROR(Write(","));
        VALLM_RETURN_IF_ERROR(NewLine(indent));
      }
      const bool last = i + 1 == items.size();
      VALLM_RETURN_IF_ERROR(Format(items[i], indent, last ? allowance : 1, level + 1));
    }
    return absl::OkStatus();
  }

  // A string literal per line of the text, and several for a line that is too long.
  absl::Status FormatText(std::string_view text, int64_t indent, int64_t allowance, int level) {
    if (level == 1) {
      ++indent;
      ++allowance;
    }
    const int64_t room = kWidth - indent;
    std::vector<std::string> chunks;
    VALLM_ASSIGN_OR_RETURN(const auto lines, runtime_.LinesOf(text, /*keep_ends=*/true));
    for (size_t i = 0; i < lines.size(); ++i) {
      const bool last_line = i + 1 == lines.size();
      VALLM_RETURN_IF_ERROR(runtime_.Charge(1 + static_cast<int64_t>(lines[i].size() / 2)));
      std::string whole = Quoted(lines[i]);
      if (CountCodePoints(whole) <= room - (last_line ? allowance : 0)) {
        chunks.push_back(std::move(whole));
        continue;
      }
      SplitLine(lines[i], room, last_line ? allowance : 0, &chunks);
    }
    if (level == 1 && chunks.size() > 1) VALLM_RETURN_IF_ERROR(Write("("));
    for (size_t i = 0; i < chunks.size(); ++i) {
      if (i != 0) VALLM_RETURN_IF_ERROR(NewLine(indent));
      VALLM_RETURN_IF_ERROR(Write(chunks[i]));
    }
    return level == 1 && chunks.size() > 1 ? Write(")") : absl::OkStatus();
  }

  // As many words as fit, at least one, make a chunk. `allowance` is that of the last word.
  static void SplitLine(std::string_view line, int64_t room, int64_t allowance,
                        std::vector<std::string>* chunks) {
    const std::vector<std::string_view> words = Words(line);
    size_t begin = 0;  // of the chunk
    size_t end = 0;
    LiteralWidth width;
    for (size_t i = 0; i < words.size(); ++i) {
      if (i + 1 == words.size()) room -= allowance;
      LiteralWidth longer = width;
      longer.Add(words[i]);
      if (end != begin && longer.columns() > room) {
        chunks->push_back(Quoted(line.substr(begin, end - begin)));
        begin = end;
        longer = LiteralWidth();
        longer.Add(words[i]);
      }
      width = longer;
      end += words[i].size();
    }
    chunks->push_back(Quoted(line.substr(begin)));
  }

  Runtime& runtime_;
  std::string out_;
};

}  // namespace

absl::StatusOr<std::string> PrettyPrint(Runtime& runtime, const Value& value) {
  // Every level prints what is below it once more to see whether it fits.
  VALLM_RETURN_IF_ERROR(runtime.Charge(value.Weight()));
  Printer printer(runtime);
  VALLM_RETURN_IF_ERROR(printer.Format(value, /*indent=*/0, /*allowance=*/0, /*level=*/1));
  return printer.Take();
}

}  // namespace vallm::tokenizer
