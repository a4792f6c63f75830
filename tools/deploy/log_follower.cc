#include "tools/deploy/log_follower.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace vallm::tools {
namespace {

// Where the last `lines` lines of a file begin.
off_t TailBegin(int fd, off_t size, int lines) {
  std::array<char, 65536> buffer;
  off_t end = size;
  int found = 0;
  while (end > 0) {
    const off_t begin = std::max<off_t>(end - static_cast<off_t>(buffer.size()), 0);
    const ssize_t n = pread(fd, buffer.data(), static_cast<size_t>(end - begin), begin);
    if (n <= 0) return end;
    for (ssize_t i = n - 1; i >= 0; --i) {
      // The end of the last line is not the beginning of one more.
      if (buffer[static_cast<size_t>(i)] != '\n' || begin + i + 1 == size) continue;
      if (++found == lines) return begin + i + 1;
    }
    end = begin;
  }
  return 0;
}

}  // namespace

LogFollower::LogFollower(std::string path, int lines) : path_(std::move(path)), lines_(lines) {}

LogFollower::~LogFollower() {
  if (fd_ >= 0) close(fd_);
}

LogFollower::LogFollower(LogFollower&& other) noexcept
    : path_(other.path_),
      lines_(other.lines_),
      fd_(std::exchange(other.fd_, -1)),
      inode_(other.inode_),
      partial_(std::move(other.partial_)) {}

bool LogFollower::Open() {
  fd_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info = {};
  if (fd_ < 0 || fstat(fd_, &info) != 0) return false;
  inode_ = info.st_ino;
  if (lines_ == 0) lseek(fd_, 0, SEEK_END);
  if (lines_ > 0) lseek(fd_, TailBegin(fd_, info.st_size, lines_), SEEK_SET);
  lines_ = -1;  // what comes after it is read from its beginning
  return true;
}

void LogFollower::ReadRest(const std::function<void(std::string_view)>& line) {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t n = read(fd_, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    std::string_view bytes(buffer.data(), static_cast<size_t>(n));
    for (size_t end; (end = bytes.find('\n')) != std::string_view::npos;) {
      partial_ += bytes.substr(0, end);
      line(partial_);
      partial_.clear();
      bytes.remove_prefix(end + 1);
    }
    partial_ += bytes;
  }
}

void LogFollower::Read(const std::function<void(std::string_view)>& line) {
  if (fd_ < 0 && !Open()) return;
  ReadRest(line);
  struct stat info = {};
  if (stat(path_.c_str(), &info) != 0 || info.st_ino == inode_) return;
  // It was put aside: what came to it until then has been read but for a moment's worth.
  ReadRest(line);
  close(fd_);
  fd_ = -1;
  if (Open()) ReadRest(line);
}

}  // namespace vallm::tools
