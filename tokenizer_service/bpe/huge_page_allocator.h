// A standard allocator for large tables that are read at random: it asks the system for huge pages,
// without which each such read also misses the TLB.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_HUGE_PAGE_ALLOCATOR_H_
#define VALLM_TOKENIZER_SERVICE_BPE_HUGE_PAGE_ALLOCATOR_H_

#include <cstddef>

namespace vallm::tokenizer {

// Memory for `bytes` bytes, in huge pages where the system has them and the size is worth it. Never
// null. Thread-safe.
void* AllocateHuge(size_t bytes);
void FreeHuge(void* memory, size_t bytes);

template <typename T>
struct HugePageAllocator {
  using value_type = T;

  HugePageAllocator() = default;
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>&) {}  // NOLINT: what allocators are

  T* allocate(size_t count) { return static_cast<T*>(AllocateHuge(count * sizeof(T))); }
  void deallocate(T* memory, size_t count) { FreeHuge(memory, count * sizeof(T)); }

  friend bool operator==(const HugePageAllocator&, const HugePageAllocator&) { return true; }
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_HUGE_PAGE_ALLOCATOR_H_
