#include "tools/deploy/control_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

constexpr char kSocketName[] = "control.sock";
constexpr size_t kLongestLine = 1 << 20;
constexpr absl::Duration kPatience = absl::Seconds(1);

// A path of any length: an address holds only 107 bytes, so it goes through the open directory.
sockaddr_un Address(int directory_fd) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = absl::StrCat("/proc/self/fd/", directory_fd, "/", kSocketName);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

void SetTimeouts(int fd, absl::Duration timeout) {
  const timeval limit = absl::ToTimeval(timeout);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

bool SendLine(int fd, const ordered_json& json) {
  const std::string line = json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t n = send(fd, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

// Nothing: no whole line came in time, or it was no object.
std::optional<ordered_json> ReceiveLine(int fd) {
  std::string line;
  std::array<char, 4096> buffer;
  while (line.empty() || line.back() != '\n') {
    const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || line.size() > kLongestLine) return std::nullopt;
    line.append(buffer.data(), static_cast<size_t>(n));
  }
  auto json = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

int OpenDirectory(const std::string& directory) {
  return open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Listen(const std::string& directory) {
  const int directory_fd = OpenDirectory(directory);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (directory_fd >= 0 && fd >= 0) {
    unlinkat(directory_fd, kSocketName, 0);
    const sockaddr_un address = Address(directory_fd);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
        listen(fd, 16) == 0) {
      return std::unique_ptr<ControlServer>(new ControlServer(directory_fd, fd));
    }
  }
  const int error = errno;
  if (directory_fd >= 0) close(directory_fd);
  if (fd >= 0) close(fd);
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen on ", directory, "/", kSocketName, ": ", strerror(error)));
}

ControlServer::~ControlServer() {
  unlinkat(directory_fd_, kSocketName, 0);
  close(fd_);
  close(directory_fd_);
}

void ControlServer::Serve(const std::function<ordered_json(const ordered_json&)>& answer) {
  while (true) {
    const int connection = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    SetTimeouts(connection, kPatience);
    if (const auto call = ReceiveLine(connection)) SendLine(connection, answer(*call));
    close(connection);
  }
}

absl::StatusOr<ordered_json> CallSupervisor(const std::string& directory, const ordered_json& call,
                                            absl::Duration timeout) {
  const int directory_fd = OpenDirectory(directory);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto closer = absl::MakeCleanup([&] {
    if (directory_fd >= 0) close(directory_fd);
    if (fd >= 0) close(fd);
  });
  const sockaddr_un address = directory_fd >= 0 ? Address(directory_fd) : sockaddr_un{};
  if (directory_fd < 0 || fd < 0 ||
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return absl::UnavailableError(absl::StrCat("no supervisor runs in ", directory));
  }
  SetTimeouts(fd, timeout);
  if (!SendLine(fd, call)) return absl::UnavailableError("the supervisor hung up");
  auto reply = ReceiveLine(fd);
  if (!reply.has_value()) {
    return absl::DeadlineExceededError(
        absl::StrCat("the supervisor did not answer within ", absl::FormatDuration(timeout)));
  }
  return *std::move(reply);
}

}  // namespace vallm::tools
