// Encodes prompts, which repeat: the next turn of a conversation begins with all the turns before,
// and many conversations share a system message and tools. What stands between two added tokens
// ("<|im_end|>", ...) is encoded on its own, so its ids are kept and used again.
//
// The ids are those of Tokenizer::Encode, always. Thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_PROMPT_ENCODER_H_
#define VALLM_TOKENIZER_SERVICE_PROMPT_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/segment_cache.h"

namespace vallm::tokenizer {

class PromptEncoder {
 public:
  // Keeps at most `cache_bytes`; 0: encodes everything anew. `tokenizer` must outlive this.
  PromptEncoder(const Tokenizer& tokenizer, size_t cache_bytes)
      : tokenizer_(tokenizer), enabled_(cache_bytes > 0), cache_(cache_bytes) {}

  // The ids of `text`, its added tokens parsed. Errors: those of Tokenizer::Encode.
  absl::StatusOr<std::vector<int32_t>> Encode(std::string_view text);

  SegmentCache::Stats cache_stats() const { return cache_.stats(); }

 private:
  const Tokenizer& tokenizer_;
  const bool enabled_;
  SegmentCache cache_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_PROMPT_ENCODER_H_
