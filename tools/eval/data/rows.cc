#include "tools/eval/data/rows.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tools/eval/data/parquet_file.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

// Takes CSV apart, record by record.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {}

  bool AtEnd() const { return at_ >= text_.size(); }
  int64_t line() const { return line_; }

  absl::StatusOr<std::vector<std::string>> Record() {
    std::vector<std::string> fields;
    while (true) {
      VALLM_ASSIGN_OR_RETURN(std::string field, Field());
      fields.push_back(std::move(field));
      if (AtEnd()) return fields;
      const char c = text_[at_++];
      if (c == ',') {
        if (AtEnd()) fields.emplace_back();
        if (AtEnd()) return fields;
        continue;
      }
      if (c == '\r' && !AtEnd() && text_[at_] == '\n') ++at_;
      ++line_;
      return fields;
    }
  }

 private:
  absl::StatusOr<std::string> Field() {
    std::string field;
    if (!AtEnd() && text_[at_] == '"') {
      const int64_t begin = line_;
      ++at_;
      while (true) {
        if (AtEnd()) {
          return absl::InvalidArgumentError(
              absl::StrCat("line ", begin, ": a quoted value is not closed"));
        }
        const char c = text_[at_++];
        if (c != '"') {
          line_ += c == '\n' ? 1 : 0;
          field.push_back(c);
        } else if (!AtEnd() && text_[at_] == '"') {
          field.push_back('"');
          ++at_;
        } else {
          break;
        }
      }
    }
    while (!AtEnd() && text_[at_] != ',' && text_[at_] != '\n' && text_[at_] != '\r') {
      field.push_back(text_[at_++]);
    }
    return field;
  }

  const std::string_view text_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

std::string_view WithoutByteOrderMark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  if (text.substr(0, kMark.size()) == kMark) text.remove_prefix(kMark.size());
  return text;
}

absl::StatusOr<Rows> ParseJsonArray(std::string_view text) {
  ordered_json array = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (array.is_object()) {  // of rows by their names, as DROP is published
    ordered_json values = ordered_json::array();
    for (auto& [name, row] : array.items()) values.push_back(std::move(row));
    array = std::move(values);
  }
  if (!array.is_array()) return absl::InvalidArgumentError("is not a JSON array of objects");
  Rows rows;
  for (ordered_json& row : array) {
    if (!row.is_object()) {
      return absl::InvalidArgumentError(absl::StrCat("element ", rows.size(), " is no object"));
    }
    rows.push_back(ShareJson(std::move(row)));
  }
  return rows;
}

absl::StatusOr<Rows> ParseByName(const std::string& path, std::string_view text) {
  if (absl::EndsWith(path, ".csv")) return ParseCsv(text);
  if (absl::EndsWith(path, ".jsonl")) return ParseJsonLines(text);
  if (absl::EndsWith(path, ".json")) return ParseJsonArray(WithoutByteOrderMark(text));
  if (absl::EndsWith(path, ".parquet")) return ParseParquet(text);
  return absl::InvalidArgumentError("is neither .jsonl, .json, .csv nor .parquet");
}

}  // namespace

JsonRef ShareJson(ordered_json value) {
  return std::make_shared<const ordered_json>(std::move(value));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a directory"));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

absl::StatusOr<Rows> LoadRows(const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  auto rows = ParseByName(path, text);
  if (rows.ok()) return rows;
  return absl::Status(rows.status().code(), absl::StrCat(path, ": ", rows.status().message()));
}

absl::StatusOr<Rows> ParseCsv(std::string_view text) {
  CsvReader reader(WithoutByteOrderMark(text));
  if (reader.AtEnd()) return absl::InvalidArgumentError("has no header");
  VALLM_ASSIGN_OR_RETURN(const std::vector<std::string> header, reader.Record());
  Rows rows;
  while (!reader.AtEnd()) {
    VALLM_ASSIGN_OR_RETURN(const std::vector<std::string> record, reader.Record());
    if (record.size() == 1 && record[0].empty()) continue;  // a blank line
    ordered_json row = ordered_json::object();
    for (size_t i = 0; i < std::min(header.size(), record.size()); ++i) row[header[i]] = record[i];
    rows.push_back(ShareJson(std::move(row)));
  }
  return rows;
}

absl::StatusOr<Rows> ParseJsonLines(std::string_view text) {
  Rows rows;
  text = WithoutByteOrderMark(text);
  for (int64_t line_number = 1; !text.empty(); ++line_number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    ordered_json row = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!row.is_object()) {
      return absl::InvalidArgumentError(absl::StrCat("line ", line_number, " is no JSON object"));
    }
    rows.push_back(ShareJson(std::move(row)));
  }
  return rows;
}

std::string TextMember(const ordered_json& row, std::string_view name) {
  if (!row.is_object()) return "";
  const auto member = row.find(std::string(name));
  if (member == row.end() || member->is_null()) return "";
  return member->is_string() ? member->get<std::string>() : member->dump();
}

}  // namespace vallm::eval
