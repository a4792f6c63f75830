#include "gateway/routing/instance_address.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/strings.h"

namespace vallm::gateway {
namespace {

constexpr size_t kMaxAddressBytes = 255;

absl::Status NoAddress(std::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("\"", ToAbsl(text.substr(0, kMaxAddressBytes)),
                                                 "\" is not an address: it must be host:port, "
                                                 "[ipv6]:port or unix:/path"));
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isgraph(c); });
}

}  // namespace

absl::StatusOr<HostAndPort> ParseHostAndPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.size() > kMaxAddressBytes || !IsPrintable(text)) {
    return NoAddress(text);
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  HostAndPort parsed;
  if (!absl::SimpleAtoi(ToAbsl(port_text), &parsed.port) || parsed.port < 1 ||
      parsed.port > 65535 || !absl::ascii_isdigit(port_text.front())) {
    return NoAddress(text);
  }
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || (!bracketed && host.find_first_of(":[]") != std::string_view::npos)) {
    return NoAddress(text);
  }
  parsed.host = std::string(host);
  return parsed;
}

absl::Status CheckInstanceAddress(std::string_view address) {
  if (absl::StartsWith(ToAbsl(address), "unix:")) {
    const bool fits = address.size() > 5 && address.size() <= kMaxAddressBytes;
    return fits && IsPrintable(address) ? absl::OkStatus() : NoAddress(address);
  }
  return ParseHostAndPort(address).status();
}

}  // namespace vallm::gateway
