// What AddressSanitizer does not see by itself: memory that tile instructions and masked vector
// instructions touch, mappings of our own, and the unused end of memory that is used again. Does
// nothing in builds without it.
//
// Included by kernels too: no standard templates.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_MEMORY_CHECKS_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_MEMORY_CHECKS_H_

#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VALLM_MEMORY_CHECKS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define VALLM_MEMORY_CHECKS 1
#endif

#ifdef VALLM_MEMORY_CHECKS
#include <sanitizer/asan_interface.h>
#endif

namespace vallm::engine {
namespace {

#ifdef VALLM_MEMORY_CHECKS

// Bytes to allocate behind a mapping and to forbid.
inline constexpr uint64_t kMappingGuard = 4096;

// Reports an error if any of these bytes may not be touched.
inline void CheckAccess(const void* begin, int64_t bytes) {
  const void* const bad =
      __asan_region_is_poisoned(const_cast<void*>(begin), static_cast<uint64_t>(bytes));
  if (bad != nullptr) static_cast<void>(*static_cast<const volatile char*>(bad));
}
// Makes every access to these bytes an error, or none.
inline void ForbidAccess(const void* begin, uint64_t bytes) {
  __asan_poison_memory_region(begin, bytes);
}
inline void AllowAccess(const void* begin, uint64_t bytes) {
  __asan_unpoison_memory_region(begin, bytes);
}

#else

inline constexpr uint64_t kMappingGuard = 0;
[[gnu::always_inline]] inline void CheckAccess(const void*, int64_t) {}
[[gnu::always_inline]] inline void ForbidAccess(const void*, uint64_t) {}
[[gnu::always_inline]] inline void AllowAccess(const void*, uint64_t) {}

#endif

}  // namespace
}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_MEMORY_CHECKS_H_
