#include "gateway/routing/dns_lookup.h"

#include <netdb.h>
#include <sys/socket.h>

#include <memory>
#include <set>

#include "absl/strings/str_cat.h"

namespace vallm::gateway {

absl::StatusOr<std::vector<std::string>> LookUp(const HostAndPort& name) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(name.host.c_str(), nullptr, &hints, &list);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(list, [](addrinfo* entries) {
    if (entries != nullptr) ::freeaddrinfo(entries);
  });
  if (error != 0) {
    const std::string message =
        absl::StrCat("cannot look up ", name.host, ": ", ::gai_strerror(error));
    return error == EAI_NONAME || error == EAI_NODATA ? absl::NotFoundError(message)
                                                      : absl::UnavailableError(message);
  }
  std::set<std::string> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    char host[NI_MAXHOST];
    if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, host, sizeof(host), nullptr, 0,
                      NI_NUMERICHOST) != 0) {
      continue;
    }
    const bool is_v6 = entry->ai_family == AF_INET6;
    addresses.insert(absl::StrCat(is_v6 ? "[" : "", host, is_v6 ? "]:" : ":", name.port));
  }
  if (addresses.empty()) return absl::NotFoundError(absl::StrCat(name.host, " has no address"));
  return std::vector<std::string>(addresses.begin(), addresses.end());
}

}  // namespace vallm::gateway
