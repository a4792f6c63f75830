#include "tokenizer_service/template/strftime.h"

#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace vallm::tokenizer {
namespace {

constexpr size_t kMaxFormat = 4096;

// One code through the C library, which writes a %-d and the like too. The process runs in the C
// locale.
std::string FormatCode(const std::string& code, const std::tm& time) {
  char buffer[256];
  const size_t size = std::strftime(buffer, sizeof(buffer), code.c_str(), &time);
  return std::string(buffer, size);
}

}  // namespace

absl::StatusOr<std::string> FormatTime(std::string_view format, absl::Time time,
                                       absl::TimeZone zone) {
  if (format.size() > kMaxFormat) {
    return absl::InvalidArgumentError(
        absl::StrCat("time format has ", format.size(), " bytes; limit is ", kMaxFormat));
  }
  const std::tm parts = absl::ToTM(time, zone);
  const int64_t microseconds =
      absl::ToInt64Microseconds(time - absl::FromUnixSeconds(absl::ToUnixSeconds(time)));
  std::string out;
  for (size_t pos = 0; pos < format.size();) {
    if (format[pos] != '%' || pos + 1 >= format.size()) {
      out.push_back(format[pos++]);
      continue;
    }
    size_t end = pos + 1;
    while (end + 1 < format.size() &&
           std::string_view("-_0^#EO").find(format[end]) != std::string_view::npos) {
      ++end;
    }
    const char code = format[end];
    const std::string spelled(format.substr(pos, end + 1 - pos));
    pos = end + 1;
    if (code == 'f') {
      absl::StrAppendFormat(&out, "%06d", microseconds);
    } else if (code == '%') {
      out.push_back('%');
    } else if (code != 'z' && code != 'Z') {
      out += FormatCode(spelled, parts);
    }
  }
  return out;
}

}  // namespace vallm::tokenizer
