// A prompt as routing sees it: a hash for each of its leading blocks, chained, so that two prompts
// have the same n-th hash if and only if (but for collisions, which cost speed and nothing else)
// their first n blocks and their cache salts are equal. Blocks are the engine's KV blocks: what
// its prefix cache can find.
#ifndef VALLM_GATEWAY_ROUTING_PROMPT_BLOCKS_H_
#define VALLM_GATEWAY_ROUTING_PROMPT_BLOCKS_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace vallm::gateway {

struct PromptBlocks {
  int64_t token_count = 0;  // of the whole prompt
  int block_tokens = 1;
  std::vector<uint64_t> hashes;  // of the full blocks
};

// `block_tokens` >= 1.
PromptBlocks HashPromptBlocks(absl::Span<const int32_t> token_ids, std::string_view cache_salt,
                              int block_tokens);

// A 64-bit hash of any bytes, the same for the life of the process.
uint64_t HashBytes(std::string_view bytes);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_PROMPT_BLOCKS_H_
