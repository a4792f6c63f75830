#include "gateway/unused_stack.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace vallm::gateway {
namespace {

// What the call that releases needs itself. Pages that are needed again come back, empty, as they
// are touched.
constexpr uintptr_t kMargin = 512;

}  // namespace

void ReleaseUnusedStack() {
  if (getpid() == gettid()) return;  // its stack grows by itself, down to no known place
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  void* lowest = nullptr;
  size_t size = 0;
  pthread_attr_getstack(&attributes, &lowest, &size);
  pthread_attr_destroy(&attributes);
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(lowest) + page - 1) / page * page;
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const auto end = (here - kMargin) / page * page;
  if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace vallm::gateway
