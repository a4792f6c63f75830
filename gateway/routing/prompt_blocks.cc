#include "gateway/routing/prompt_blocks.h"

namespace vallm::gateway {
namespace {

// A bijection in which every bit of the input changes about half of the output's: the finaliser of
// MurmurHash3 (public domain).
uint64_t Mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  return x;
}

}  // namespace

uint64_t HashBytes(std::string_view bytes) {
  uint64_t hash = Mix(bytes.size() + 1);
  for (const char c : bytes) hash = Mix(hash + static_cast<unsigned char>(c) + 1);
  return hash;
}

PromptBlocks HashPromptBlocks(absl::Span<const int32_t> token_ids, std::string_view cache_salt,
                              int block_tokens) {
  PromptBlocks blocks = {.token_count = static_cast<int64_t>(token_ids.size()),
                         .block_tokens = block_tokens,
                         .hashes = {}};
  const size_t count = token_ids.size() / static_cast<size_t>(block_tokens);
  blocks.hashes.reserve(count);
  uint64_t hash = HashBytes(cache_salt);
  const int32_t* token = token_ids.data();
  for (size_t block = 0; block < count; ++block) {
    for (int i = 0; i < block_tokens; ++i) hash = Mix(hash + static_cast<uint32_t>(*token++) + 1);
    blocks.hashes.push_back(hash);
  }
  return blocks;
}

}  // namespace vallm::gateway
