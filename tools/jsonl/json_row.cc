#include "tools/jsonl/json_row.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/output/json_scanner.h"

namespace vallm::tools {
namespace {

using tokenizer::IsJsonSpace;
using tokenizer::JsonScanner;

// Walks over the text of an object.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  void SkipSpace() {
    while (pos_ < text_.size() && IsJsonSpace(text_[pos_])) ++pos_;
  }
  // Skips whitespace and then `c`, if it stands there.
  bool Take(char c) {
    SkipSpace();
    if (pos_ >= text_.size() || text_[pos_] != c) return false;
    ++pos_;
    return true;
  }
  // Skips whitespace and takes one value; empty when there is none.
  std::string_view TakeValue() {
    SkipSpace();
    JsonScanner scanner;
    for (size_t i = pos_; i < text_.size(); ++i) {
      switch (scanner.Push(text_[i])) {
        case JsonScanner::Status::kMore:
          continue;
        case JsonScanner::Status::kError:
          pos_ = i;
          return {};
        case JsonScanner::Status::kDone:
          return Slice(i + 1);
        case JsonScanner::Status::kDoneBefore:
          return Slice(i);
      }
    }
    pos_ = text_.size();
    return {};
  }
  bool at_end() const { return pos_ == text_.size(); }
  absl::Status Error() const {
    return absl::InvalidArgumentError(absl::StrCat(
        "not a JSON object: unexpected ", at_end() ? "end" : "character", " at byte ", pos_));
  }

 private:
  std::string_view Slice(size_t end) {
    const std::string_view value = text_.substr(pos_, end - pos_);
    pos_ = end;
    return value;
  }

  const std::string_view text_;
  size_t pos_ = 0;
};

absl::Status WrongType(std::string_view name, const char* expected) {
  return absl::InvalidArgumentError(absl::StrCat("'", ToAbsl(name), "' must be ", expected));
}

absl::StatusOr<nlohmann::json> ParseMember(std::string_view name, std::string_view raw) {
  if (raw.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("'", ToAbsl(name), "' is missing"));
  }
  nlohmann::json value = nlohmann::json::parse(raw, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", ToAbsl(name),
                     "' is malformed: a bad escape, a lone surrogate or bytes that are not UTF-8"));
  }
  return value;
}

bool FitsInt32(const nlohmann::json& value) {
  if (value.is_number_unsigned()) {
    return value.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int32_t>::max());
  }
  return value.is_number_integer() && value.get<int64_t>() >= std::numeric_limits<int32_t>::min();
}

}  // namespace

absl::StatusOr<JsonRow> JsonRow::Parse(std::string_view text) {
  Cursor cursor(text);
  JsonRow row;
  if (!cursor.Take('{')) return cursor.Error();
  bool closed = cursor.Take('}');
  while (!closed) {
    const std::string_view key = cursor.TakeValue();
    if (key.empty() || key.front() != '"' || !cursor.Take(':')) return cursor.Error();
    const std::string_view value = cursor.TakeValue();
    if (value.empty()) return cursor.Error();
    const std::string name = tokenizer::JsonStringValue(key);
    const auto known = std::find_if(row.members_.begin(), row.members_.end(),
                                    [&](const auto& member) { return member.first == name; });
    if (known != row.members_.end()) {
      known->second = std::string(value);
    } else {
      row.members_.emplace_back(name, value);
    }
    closed = cursor.Take('}');
    if (!closed && !cursor.Take(',')) return cursor.Error();
  }
  cursor.SkipSpace();
  if (!cursor.at_end()) return cursor.Error();
  return row;
}

std::string_view JsonRow::Raw(std::string_view name) const {
  for (const auto& [key, raw] : members_) {
    if (key == name) return raw;
  }
  return {};
}

bool JsonRow::Has(std::string_view name) const {
  const std::string_view raw = Raw(name);
  return !raw.empty() && raw != "null";
}

absl::StatusOr<std::string> JsonRow::String(std::string_view name) const {
  VALLM_ASSIGN_OR_RETURN(const nlohmann::json value, ParseMember(name, Raw(name)));
  if (!value.is_string()) return WrongType(name, "a string");
  return value.get<std::string>();
}

absl::StatusOr<std::vector<int32_t>> JsonRow::Ids(std::string_view name) const {
  VALLM_ASSIGN_OR_RETURN(const nlohmann::json value, ParseMember(name, Raw(name)));
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), FitsInt32)) {
    return WrongType(name, "a list of token ids");
  }
  return value.get<std::vector<int32_t>>();
}

absl::StatusOr<std::vector<std::string>> JsonRow::Strings(std::string_view name) const {
  VALLM_ASSIGN_OR_RETURN(const nlohmann::json value, ParseMember(name, Raw(name)));
  const auto is_string = [](const nlohmann::json& element) { return element.is_string(); };
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_string)) {
    return WrongType(name, "a list of strings");
  }
  return value.get<std::vector<std::string>>();
}

absl::StatusOr<JsonRow> JsonRow::Object(std::string_view name) const {
  const std::string_view raw = Raw(name);
  if (raw.empty() || raw.front() != '{') return WrongType(name, "an object");
  return Parse(raw);
}

absl::StatusOr<std::optional<std::string>> JsonRow::OptionalString(std::string_view name) const {
  if (!Has(name)) return std::nullopt;
  VALLM_ASSIGN_OR_RETURN(std::string value, String(name));
  return std::optional<std::string>(std::move(value));
}

absl::StatusOr<std::optional<bool>> JsonRow::OptionalBool(std::string_view name) const {
  if (!Has(name)) return std::nullopt;
  const std::string_view raw = Raw(name);
  if (raw != "true" && raw != "false") return WrongType(name, "true or false");
  return std::optional<bool>(raw == "true");
}

absl::StatusOr<std::optional<double>> JsonRow::OptionalNumber(std::string_view name) const {
  if (!Has(name)) return std::nullopt;
  VALLM_ASSIGN_OR_RETURN(const nlohmann::json value, ParseMember(name, Raw(name)));
  if (!value.is_number()) return WrongType(name, "a number");
  return std::optional<double>(value.get<double>());
}

absl::StatusOr<std::optional<int64_t>> JsonRow::OptionalInt(std::string_view name) const {
  if (!Has(name)) return std::nullopt;
  VALLM_ASSIGN_OR_RETURN(const nlohmann::json value, ParseMember(name, Raw(name)));
  const bool too_large =
      value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!value.is_number_integer() || too_large) return WrongType(name, "a 64-bit integer");
  return std::optional<int64_t>(value.get<int64_t>());
}

}  // namespace vallm::tools
