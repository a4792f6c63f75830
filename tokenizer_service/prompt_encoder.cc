#include "tokenizer_service/prompt_encoder.h"

#include <memory>
#include <utility>

#include "common/status_macros.h"

namespace vallm::tokenizer {
namespace {

// Shorter stretches ("user\n") are encoded sooner than they are found.
constexpr size_t kMinSegmentBytes = 48;

}  // namespace

absl::StatusOr<std::vector<int32_t>> PromptEncoder::Encode(std::string_view text) {
  if (!enabled_) return tokenizer_.Encode(text);
  VALLM_ASSIGN_OR_RETURN(const std::vector<Tokenizer::Segment> segments, tokenizer_.Split(text));
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  for (const Tokenizer::Segment& segment : segments) {
    if (segment.added_token >= 0) {
      ids.push_back(segment.added_token);
      continue;
    }
    const bool worth_keeping = segment.text.size() >= kMinSegmentBytes;
    SegmentCache::Ids known = worth_keeping ? cache_.Find(segment.text) : nullptr;
    if (known == nullptr) {
      VALLM_ASSIGN_OR_RETURN(std::vector<int32_t> made,
                             tokenizer_.Encode(segment.text, {.is_segment = true}));
      made.shrink_to_fit();
      known = std::make_shared<const std::vector<int32_t>>(std::move(made));
      if (worth_keeping) cache_.Put(segment.text, known);
    }
    ids.insert(ids.end(), known->begin(), known->end());
  }
  return ids;
}

}  // namespace vallm::tokenizer
