// Zeroed memory for weights and caches: 64-byte aligned, on huge pages where the kernel has them.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_ALIGNED_MEMORY_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_ALIGNED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"

namespace vallm::engine {

class AlignedMemory {
 public:
  AlignedMemory() = default;
  // Zeroed; pages are taken from the system when first touched. Errors: RESOURCE_EXHAUSTED.
  static absl::StatusOr<AlignedMemory> Allocate(int64_t bytes);
  ~AlignedMemory();
  AlignedMemory(AlignedMemory&& other) noexcept { *this = std::move(other); }
  AlignedMemory& operator=(AlignedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_ALIGNED_MEMORY_H_
