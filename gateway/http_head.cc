#include "gateway/http_head.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/strings.h"

namespace vallm::gateway {
namespace {

constexpr int64_t kNoLength = -1;
constexpr int64_t kBadLength = -2;

// The declared length of the body; a number beyond all limits reads as the largest.
int64_t ContentLength(const httplib::Request& request) {
  if (!request.has_header("Content-Length")) return kNoLength;
  const std::string value = request.get_header_value("Content-Length");
  const bool digits = !value.empty() && value.find_first_not_of("0123456789") == std::string::npos;
  if (!digits) return kBadLength;
  constexpr size_t kMostDigits = 18;
  return value.size() > kMostDigits ? std::numeric_limits<int64_t>::max() : std::stoll(value);
}

}  // namespace

int RefusalOf(const httplib::Request& request, int64_t max_body_bytes) {
  const std::string coding = request.get_header_value("Content-Encoding");
  if (!coding.empty() && !absl::EqualsIgnoreCase(coding, "identity")) return 415;
  const int64_t length = ContentLength(request);
  if (request.has_header("Transfer-Encoding")) {
    if (length != kNoLength) return 400;
    const bool chunked =
        request.get_header_value_count("Transfer-Encoding") == 1 &&
        absl::EqualsIgnoreCase(request.get_header_value("Transfer-Encoding"), "chunked");
    return chunked ? 0 : 501;
  }
  if (length == kNoLength) return request.method == "POST" ? 411 : 0;
  if (length == kBadLength) return 400;
  return length > max_body_bytes ? 413 : 0;
}

bool IsCleanHead(std::string_view head) {
  constexpr char kNotInNames[] = " \t\"(),/;<=>?@[\\]{}";
  bool first = true;
  while (!head.empty()) {
    const size_t end = head.find("\r\n");
    if (end == std::string_view::npos) return false;
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    for (const unsigned char c : line) {
      if ((c < ' ' && c != '\t') || c == 0x7F) return false;
    }
    if (first) {
      if (std::count(line.begin(), line.end(), ' ') != 2) return false;
      first = false;
      continue;
    }
    if (line.empty()) return true;
    const size_t colon = line.find(':');
    if (colon == 0 || colon == std::string_view::npos) return false;
    if (line.substr(0, colon).find_first_of(kNotInNames) != std::string_view::npos) return false;
  }
  return false;
}

void RestoreHeaders(std::string_view head, httplib::Headers* headers) {
  if (head.find('%') == std::string_view::npos) return;
  headers->clear();
  size_t begin = head.find("\r\n");
  while (begin != std::string_view::npos) {
    begin += 2;
    const size_t end = head.find("\r\n", begin);
    const std::string_view line = head.substr(begin, end - begin);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const absl::string_view value = absl::StripAsciiWhitespace(ToAbsl(line.substr(colon + 1)));
    headers->emplace(std::string(line.substr(0, colon)), std::string(value));
    begin = end;
  }
}

std::string WithoutAuthority(std::string path) {
  const bool absolute =
      absl::StartsWithIgnoreCase(path, "http://") || absl::StartsWithIgnoreCase(path, "https://");
  if (!absolute) return path;
  const size_t slash = path.find('/', path.find("//") + 2);
  return slash == std::string::npos ? "/" : path.substr(slash);
}

}  // namespace vallm::gateway
