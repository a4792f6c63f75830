#include "gateway/unused_stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace vallm::gateway {
namespace {

constexpr size_t kUsed = 256 * 1024;

// Uses that much of the stack; gives its lowest address.
__attribute__((noinline)) uintptr_t UseStack() {
  volatile char used[kUsed];
  for (size_t i = 0; i < kUsed; i += 512) used[i] = 1;
  return reinterpret_cast<uintptr_t>(&used[0]);
}

size_t ResidentPages(uintptr_t begin, size_t size) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = (begin + page - 1) / page * page;
  std::vector<unsigned char> resident(size / page - 1);
  EXPECT_EQ(mincore(reinterpret_cast<void*>(first), resident.size() * page, resident.data()), 0);
  return static_cast<size_t>(std::count_if(resident.begin(), resident.end(),
                                           [](unsigned char state) { return (state & 1) != 0; }));
}

TEST(UnusedStackTest, WhatIsBelowGoesAndWhatIsAboveStays) {
  std::thread([] {
    volatile char mine[20000];
    for (volatile char& c : mine) c = 7;
    const uintptr_t lowest = UseStack();
    // All but what is near to the frames in use.
    constexpr size_t kChecked = kUsed - 64 * 1024;
    EXPECT_EQ(ResidentPages(lowest, kChecked), kChecked / 4096 - 1);
    ReleaseUnusedStack();
    EXPECT_EQ(ResidentPages(lowest, kChecked), 0u);
    EXPECT_TRUE(std::all_of(std::begin(mine), std::end(mine), [](char c) { return c == 7; }));
    EXPECT_EQ(UseStack(), lowest);  // and can be used again
  }).join();
}

TEST(UnusedStackTest, TheMainThreadKeepsItsOwn) {
  UseStack();
  ReleaseUnusedStack();
  UseStack();
}

}  // namespace
}  // namespace vallm::gateway
