#include "tools/serve/ports.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>

#include "absl/strings/str_cat.h"

namespace vallm::tools {
namespace {

// Below net.ipv4.ip_local_port_range (32768 and up by default), above the registered services.
constexpr int kFirstPort = 20000;
constexpr int kLastPort = 32000;
constexpr int kAttempts = 200;

// 0, or the errno of binding and listening.
int TryListen(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  int error = 0;
  if (bind(fd, address.ai_addr, address.ai_addrlen) != 0 || listen(fd, 1) != 0) error = errno;
  close(fd);
  return error;
}

}  // namespace

absl::Status CheckPortFree(const std::string& host, int port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* addresses = nullptr;
  const int resolved = getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &addresses);
  if (resolved != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("host '", host, "' cannot be resolved: ", gai_strerror(resolved)));
  }
  const int error = TryListen(*addresses);
  freeaddrinfo(addresses);
  switch (error) {
    case 0:
      return absl::OkStatus();
    case EADDRINUSE:
      return absl::UnavailableError(absl::StrCat("port ", port, " is in use"));
    case EACCES:
      return absl::PermissionDeniedError(
          absl::StrCat("port ", port, " needs privileges; use one above 1023"));
    case EADDRNOTAVAIL:
      return absl::InvalidArgumentError(
          absl::StrCat("host '", host, "' is not an address of this machine"));
    default:
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", host, ":", port, ": ", strerror(error)));
  }
}

absl::StatusOr<int> PickFreePort(const std::set<int>& taken) {
  std::random_device random;
  std::uniform_int_distribution<int> any_port(kFirstPort, kLastPort);
  for (int i = 0; i < kAttempts; ++i) {
    const int port = any_port(random);
    if (taken.count(port) == 0 && CheckPortFree("127.0.0.1", port).ok()) return port;
  }
  return absl::UnavailableError(
      absl::StrCat("no free port between ", kFirstPort, " and ", kLastPort, " on 127.0.0.1"));
}

}  // namespace vallm::tools
