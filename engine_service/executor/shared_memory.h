// Anonymous memory that processes share: a memfd, mapped. It has no name anywhere, so it goes when
// the last process that holds it goes, however that process ends.
#ifndef VALLM_ENGINE_SERVICE_EXECUTOR_SHARED_MEMORY_H_
#define VALLM_ENGINE_SERVICE_EXECUTOR_SHARED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"

namespace vallm::engine {

class SharedMemory {
 public:
  // `size_bytes` of zeros. Pages cost memory when first touched. The descriptor is close-on-exec
  // and sealed against growing and shrinking. Errors: RESOURCE_EXHAUSTED.
  static absl::StatusOr<std::unique_ptr<SharedMemory>> Create(int64_t size_bytes);
  // Maps what another process created; takes `fd` over, also on error.
  // Errors: INVALID_ARGUMENT (not such a descriptor), RESOURCE_EXHAUSTED.
  static absl::StatusOr<std::unique_ptr<SharedMemory>> Attach(int fd);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  int fd() const { return fd_; }
  std::span<std::byte> bytes() const { return bytes_; }

 private:
  SharedMemory(int fd, std::span<std::byte> bytes) : fd_(fd), bytes_(bytes) {}

  const int fd_;
  const std::span<std::byte> bytes_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_EXECUTOR_SHARED_MEMORY_H_
