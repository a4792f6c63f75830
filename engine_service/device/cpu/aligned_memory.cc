#include "engine_service/device/cpu/aligned_memory.h"

#include <sys/mman.h>

#include "absl/strings/str_cat.h"
#include "engine_service/device/cpu/memory_checks.h"

namespace vallm::engine {

absl::StatusOr<AlignedMemory> AlignedMemory::Allocate(int64_t bytes) {
  AlignedMemory memory;
  if (bytes == 0) return memory;
  void* data =
      bytes < 0 ? MAP_FAILED
                : mmap(nullptr, static_cast<size_t>(bytes) + kMappingGuard, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot allocate ", bytes, " bytes"));
  }
  // Advice only: without huge pages everything works, with more TLB misses.
  constexpr int64_t kHugePage = int64_t{2} << 20;
  if (bytes >= 2 * kHugePage) madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  memory.data_ = static_cast<std::byte*>(data);
  memory.bytes_ = bytes;
  ForbidAccess(memory.data_ + bytes, kMappingGuard);
  return memory;
}

AlignedMemory::~AlignedMemory() {
  if (data_ == nullptr) return;
  AllowAccess(data_ + bytes_, kMappingGuard);
  munmap(data_, static_cast<size_t>(bytes_) + kMappingGuard);
}

}  // namespace vallm::engine
