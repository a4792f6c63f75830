#include "tools/load_client/server_address.h"

#include <netdb.h>

#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tools/http/http_client.h"

namespace vallm::tools {

std::string ServerAddress::Authority() const {
  return host.find(':') == std::string::npos ? absl::StrCat(host, ":", port)
                                             : absl::StrCat("[", host, "]:", port);
}

absl::StatusOr<ServerAddress> ResolveServer(std::string_view url) {
  VALLM_ASSIGN_OR_RETURN(const Url parsed, ParseUrl(url));
  ServerAddress address;
  address.tls = parsed.origin.starts_with("https://");
  address.port = address.tls ? 443 : 80;
  address.path = parsed.path;
  std::string_view authority = parsed.origin;
  authority.remove_prefix(authority.find("://") + 3);
  std::string_view port;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat("URL '", ToAbsl(url), "': missing ']'"));
    }
    address.host = std::string(authority.substr(1, end - 1));
    authority.remove_prefix(end + 1);
    if (!authority.empty()) port = authority.substr(1);
  } else {
    const size_t colon = authority.find(':');
    address.host = std::string(authority.substr(0, colon));
    if (colon != std::string_view::npos) port = authority.substr(colon + 1);
  }
  if (!port.empty() && (!absl::SimpleAtoi(ToAbsl(port), &address.port) || address.port < 1 ||
                        address.port > 65535)) {
    return absl::InvalidArgumentError(
        absl::StrCat("URL '", ToAbsl(url), "': '", ToAbsl(port), "' is not a port"));
  }

  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot find host '", address.host, "': ", gai_strerror(error)));
  }
  std::memcpy(&address.socket_address, found->ai_addr, found->ai_addrlen);
  address.socket_address_size = found->ai_addrlen;
  freeaddrinfo(found);
  return address;
}

}  // namespace vallm::tools
