#include "engine_service/executor/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace vallm::engine {
namespace {

absl::StatusOr<std::span<std::byte>> Map(int fd, size_t size) {
  void* address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot map ", size, " bytes of shared memory: ", strerror(errno)));
  }
  return std::span<std::byte>(static_cast<std::byte*>(address), size);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SharedMemory>> SharedMemory::Create(int64_t size_bytes) {
  const int fd = memfd_create("vallm-group", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0 || ftruncate(fd, size_bytes) != 0 ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot create ", size_bytes, " bytes of shared memory: ", strerror(error)));
  }
  auto bytes = Map(fd, static_cast<size_t>(size_bytes));
  if (!bytes.ok()) {
    close(fd);
    return bytes.status();
  }
  return std::unique_ptr<SharedMemory>(new SharedMemory(fd, *bytes));
}

absl::StatusOr<std::unique_ptr<SharedMemory>> SharedMemory::Attach(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0 || info.st_size <= 0) {
    if (fd >= 0) close(fd);
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", fd, " is not the shared memory of a worker group"));
  }
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  auto bytes = Map(fd, static_cast<size_t>(info.st_size));
  if (!bytes.ok()) {
    close(fd);
    return bytes.status();
  }
  return std::unique_ptr<SharedMemory>(new SharedMemory(fd, *bytes));
}

SharedMemory::~SharedMemory() {
  munmap(bytes_.data(), bytes_.size());
  close(fd_);
}

}  // namespace vallm::engine
