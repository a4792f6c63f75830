// Where requests go: an http:// or https:// URL, looked up once, so that no name service is in the
// times that are measured.
#ifndef VALLM_TOOLS_LOAD_CLIENT_SERVER_ADDRESS_H_
#define VALLM_TOOLS_LOAD_CLIENT_SERVER_ADDRESS_H_

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vallm::tools {

struct ServerAddress {
  std::string host;  // as it was written, without brackets: for the Host field and the certificate
  int port = 80;
  bool tls = false;
  std::string path;  // what the URL has behind host and port, without a slash at its end
  // What the name stands for; the first of several.
  sockaddr_storage socket_address = {};
  socklen_t socket_address_size = 0;

  // "host:port", an IPv6 address in brackets.
  std::string Authority() const;
};

// Takes `url` apart and looks its host up. Errors: INVALID_ARGUMENT when it is no such URL,
// UNAVAILABLE when the name is unknown.
absl::StatusOr<ServerAddress> ResolveServer(std::string_view url);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_LOAD_CLIENT_SERVER_ADDRESS_H_
