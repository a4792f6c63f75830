#include "tools/deploy/log_router.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace vallm::tools {
namespace {

// Carries what there is; returns when the pipe is empty. A full disk must not stop the process that
// prints: what cannot be written is dropped.
void Carry(int fd, RotatingFile* file) {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    file->Write(std::string_view(buffer.data(), static_cast<size_t>(n))).IgnoreError();
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogRouter>> LogRouter::Create(int64_t max_bytes, int keep) {
  const int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) {
    return absl::ResourceExhaustedError(absl::StrCat("eventfd: ", strerror(errno)));
  }
  return std::unique_ptr<LogRouter>(new LogRouter(wake_fd, max_bytes, keep));
}

LogRouter::LogRouter(int wake_fd, int64_t max_bytes, int keep)
    : wake_fd_(wake_fd), max_bytes_(max_bytes), keep_(keep), thread_([this] { Run(); }) {}

LogRouter::~LogRouter() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  eventfd_write(wake_fd_, 1);
  thread_.join();
  close(wake_fd_);
  MutexLock lock(mutex_);
  for (const auto& route : routes_) {
    close(route->read_fd);
    close(route->write_fd);
  }
}

absl::StatusOr<int> LogRouter::Output(const std::string& path) {
  MutexLock lock(mutex_);
  for (const auto& route : routes_) {
    if (route->path == path) return route->write_fd;
  }
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot make a pipe: ", strerror(errno)));
  }
  // Only this end: a process that prints faster than the disk takes it should wait.
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  routes_.push_back(
      std::make_unique<Route>(Route{path, fds[0], fds[1], RotatingFile(path, max_bytes_, keep_)}));
  eventfd_write(wake_fd_, 1);
  return fds[1];
}

void LogRouter::Run() {
  while (true) {
    std::vector<pollfd> fds = {{.fd = wake_fd_, .events = POLLIN, .revents = 0}};
    std::vector<Route*> routes;  // never removed while the thread runs
    bool stopping = false;
    {
      MutexLock lock(mutex_);
      stopping = stopping_;
      for (const auto& route : routes_) {
        routes.push_back(route.get());
        fds.push_back({.fd = route->read_fd, .events = POLLIN, .revents = 0});
      }
    }
    if (!stopping && poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
    eventfd_t ignored;
    if (fds[0].revents != 0) eventfd_read(wake_fd_, &ignored);
    for (Route* route : routes) Carry(route->read_fd, &route->file);
    if (stopping) return;
  }
}

}  // namespace vallm::tools
