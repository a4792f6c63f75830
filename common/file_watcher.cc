#include "common/file_watcher.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace vallm {
namespace {

// What tells one state of the files from another.
std::string Marks(const std::vector<std::string>& paths) {
  std::string marks;
  for (const std::string& path : paths) {
    struct stat info = {};
    if (::stat(path.c_str(), &info) != 0) {
      absl::StrAppend(&marks, "-;");
      continue;
    }
    absl::StrAppend(&marks, info.st_dev, ":", info.st_ino, ":", info.st_size, ":");
    absl::StrAppend(&marks, info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, ";");
  }
  return marks;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& what, const std::string& path) {
  const auto failure = [&](int error) {
    const std::string message =
        absl::StrCat(what, ": cannot read ", path, ": ", std::strerror(error));
    return error == ENOENT ? absl::NotFoundError(message) : absl::FailedPreconditionError(message);
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failure(errno);
  std::string text;
  char buffer[16384];
  ssize_t n;
  while ((n = ::read(fd, buffer, sizeof(buffer))) > 0) text.append(buffer, static_cast<size_t>(n));
  const int error = errno;
  ::close(fd);
  if (n < 0) return failure(error);
  return text;
}

FileWatcher::FileWatcher(std::vector<std::string> paths, absl::Duration interval,
                         std::function<void()> changed)
    : paths_(std::move(paths)),
      interval_(interval),
      changed_(std::move(changed)),
      thread_([this, seen = Marks(paths_)]() mutable { Watch(std::move(seen)); }) {}

FileWatcher::~FileWatcher() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    stop_.NotifyAll();
  }
  thread_.join();
}

void FileWatcher::Watch(std::string seen) {
  for (;;) {
    {
      MutexLock lock(mu_);
      if (!stopping_) stop_.WaitFor(mu_, absl::ToChronoNanoseconds(interval_));
      if (stopping_) return;
    }
    std::string marks = Marks(paths_);
    if (marks == seen) continue;
    seen = std::move(marks);
    changed_();
  }
}

}  // namespace vallm
