#include "engine_service/thinking/thought_closer.h"

#include <algorithm>
#include <utility>

namespace vallm::engine {

ThoughtCloser::ThoughtCloser(std::shared_ptr<const ThoughtTokens> tokens, ThoughtPhase start,
                             Options options)
    : tokens_(std::move(tokens)),
      options_(options),
      closing_(std::span(tokens_->closing_ids)
                   .first(options_.stops_at_close ? tokens_->close_index + 1
                                                  : tokens_->closing_ids.size())),
      phase_(start) {}

bool ThoughtCloser::IsDue(size_t position, std::optional<int32_t> end_position) const {
  return closing_count_ > 0 || thought_count_ >= options_.token_budget.value_or(INT32_MAX) ||
         static_cast<int64_t>(position) >= end_position.value_or(INT32_MAX);
}

void ThoughtCloser::Follow(int32_t token, bool due) {
  switch (phase_) {
    case ThoughtPhase::kAnswer:
      return;
    case ThoughtPhase::kMaybeThinking: {
      const auto& spaces = tokens_->whitespace_ids;
      if (token == tokens_->open) {
        phase_ = ThoughtPhase::kThinking;
      } else if (!std::binary_search(spaces.begin(), spaces.end(), token)) {
        phase_ = ThoughtPhase::kAnswer;
      }
      return;
    }
    case ThoughtPhase::kThinking:
      break;
  }
  ++thought_count_;
  if (due && token == closing_[closing_count_]) {
    if (++closing_count_ == closing_.size()) phase_ = ThoughtPhase::kAnswer;
    return;
  }
  // Only resumed tokens get here when due: a caller may have closed the thought in its own way.
  if (token == tokens_->close || closing_count_ > tokens_->close_index) {
    phase_ = ThoughtPhase::kAnswer;
    return;
  }
  closing_count_ = due && token == closing_.front() ? 1 : 0;
}

std::optional<int32_t> ThoughtCloser::ForcedBehind(std::span<const int32_t> output,
                                                   std::optional<int32_t> end_position) {
  for (; followed_ < output.size(); ++followed_) {
    Follow(output[followed_], IsDue(followed_, end_position));
  }
  if (phase_ != ThoughtPhase::kThinking || !IsDue(followed_, end_position)) return std::nullopt;
  return closing_[closing_count_];
}

}  // namespace vallm::engine
