#include "tokenizer_service/template/source.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

constexpr absl::string_view kPlaceMark = "vallm.dev/template-place";
constexpr size_t kMaxQuote = 160;

// The part of `line` around byte `column` that fits a message, on character borders.
std::string_view Quote(std::string_view line, size_t column) {
  if (line.size() <= kMaxQuote) return line;
  const auto inside = [line](size_t i) {
    return i < line.size() && (static_cast<unsigned char>(line[i]) & 0xC0) == 0x80;
  };
  size_t begin = column > kMaxQuote / 2 ? column - kMaxQuote / 2 : 0;
  while (inside(begin)) ++begin;
  size_t end = std::min(line.size(), begin + kMaxQuote);
  while (end > begin && inside(end)) --end;
  return line.substr(begin, end - begin);
}

}  // namespace

absl::StatusOr<Source> Source::Create(std::string_view text, const Limits& limits) {
  if (text.size() > limits.max_source_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("template has ", text.size(), " bytes; limit is ", limits.max_source_bytes));
  }
  if (const size_t bad = FindInvalidUtf8(text); bad != std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("template is not UTF-8 at byte ", bad));
  }
  Source source;
  source.text_.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') {
      source.text_.push_back('\n');
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
    } else {
      source.text_.push_back(text[i]);
    }
  }
  if (!source.text_.empty() && source.text_.back() == '\n') source.text_.pop_back();
  return source;
}

absl::Status Source::Locate(const absl::Status& status, uint32_t offset) const {
  if (status.ok() || status.GetPayload(kPlaceMark)) return status;
  const std::string_view text = text_;
  const size_t at = std::min<size_t>(offset, text.size());
  const size_t line_number =
      1 + static_cast<size_t>(std::count(text.begin(), text.begin() + static_cast<long>(at), '\n'));
  const size_t newline = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
  const size_t end = std::min(text.find('\n', at), text.size());
  const std::string_view line = text.substr(begin, end - begin);
  absl::Status located(status.code(),
                       absl::StrCat("template line ", line_number, ", column ",
                                    1 + CountCodePoints(text.substr(begin, at - begin)), ": ",
                                    status.message(), "\n  ", ToAbsl(Quote(line, at - begin))));
  located.SetPayload(kPlaceMark, absl::Cord());
  return located;
}

}  // namespace vallm::tokenizer
