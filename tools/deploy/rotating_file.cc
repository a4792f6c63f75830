#include "tools/deploy/rotating_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::tools {

RotatingFile::RotatingFile(std::string path, int64_t max_bytes, int keep)
    : path_(std::move(path)), max_bytes_(max_bytes), keep_(keep) {}

RotatingFile::~RotatingFile() {
  if (fd_ >= 0) close(fd_);
}

RotatingFile::RotatingFile(RotatingFile&& other) noexcept
    : path_(other.path_),
      max_bytes_(other.max_bytes_),
      keep_(other.keep_),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_) {}

absl::Status RotatingFile::Open() {
  if (fd_ >= 0) return absl::OkStatus();
  fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  struct stat info = {};
  if (fd_ < 0 || fstat(fd_, &info) != 0) {
    return absl::InternalError(absl::StrCat("cannot open ", path_, ": ", strerror(errno)));
  }
  size_ = info.st_size;
  return absl::OkStatus();
}

absl::Status RotatingFile::Append(std::string_view bytes) {
  VALLM_RETURN_IF_ERROR(Open());
  while (!bytes.empty()) {
    const ssize_t n = write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      return absl::InternalError(absl::StrCat("cannot write ", path_, ": ", strerror(errno)));
    }
    bytes.remove_prefix(static_cast<size_t>(n));
    size_ += n;
  }
  return absl::OkStatus();
}

void RotatingFile::Rotate() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  if (keep_ == 0) {
    unlink(path_.c_str());
    return;
  }
  for (int i = keep_ - 1; i >= 1; --i) {
    std::rename(absl::StrCat(path_, ".", i).c_str(), absl::StrCat(path_, ".", i + 1).c_str());
  }
  std::rename(path_.c_str(), absl::StrCat(path_, ".1").c_str());
}

absl::Status RotatingFile::Write(std::string_view bytes) {
  VALLM_RETURN_IF_ERROR(Open());
  while (!bytes.empty()) {
    if (size_ + static_cast<int64_t>(bytes.size()) <= max_bytes_) return Append(bytes);
    // The rest of the line that brings it to its limit still belongs to the file.
    const size_t room = size_ >= max_bytes_ ? 0 : static_cast<size_t>(max_bytes_ - size_);
    const size_t line_end = bytes.find('\n', room == 0 ? 0 : room - 1);
    const size_t count = line_end == std::string_view::npos ? bytes.size() : line_end + 1;
    VALLM_RETURN_IF_ERROR(Append(bytes.substr(0, count)));
    bytes.remove_prefix(count);
    if (line_end != std::string_view::npos || size_ >= 2 * max_bytes_) Rotate();
    VALLM_RETURN_IF_ERROR(Open());
  }
  return absl::OkStatus();
}

}  // namespace vallm::tools
