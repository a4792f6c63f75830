#include "gateway/random_id.h"

#include <random>

namespace vallm::gateway {
namespace {

uint64_t NextRandom() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return generator();
}

}  // namespace

std::string NewId(std::string_view prefix) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string id(prefix);
  for (int word = 0; word < 2; ++word) {
    uint64_t bits = NextRandom();
    for (int digit = 0; digit < 16; ++digit, bits >>= 4) id.push_back(kHex[bits & 15]);
  }
  return id;
}

int64_t NewSeed() { return static_cast<int64_t>(NextRandom() >> 1); }

}  // namespace vallm::gateway
