#include "tokenizer_service/bpe/huge_page_allocator.h"

#include <sys/mman.h>

#include <new>

namespace vallm::tokenizer {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

bool IsWorthIt(size_t bytes) { return bytes >= kHugePageBytes / 2; }

size_t RoundUp(size_t bytes) {
  return (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
}

}  // namespace

void* AllocateHuge(size_t bytes) {
  if (!IsWorthIt(bytes)) return ::operator new(bytes);
  void* const memory = ::operator new (RoundUp(bytes), std::align_val_t{kHugePageBytes});
  // Only advice: without it the pages are small.
  madvise(memory, RoundUp(bytes), MADV_HUGEPAGE);
  return memory;
}

void FreeHuge(void* memory, size_t bytes) {
  if (!IsWorthIt(bytes)) return ::operator delete(memory);
  ::operator delete (memory, std::align_val_t{kHugePageBytes});
}

}  // namespace vallm::tokenizer
