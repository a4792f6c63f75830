#include "engine_service/speculation/prompt_lookup.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

absl::Status CheckRange(const char* field, int32_t value, int32_t least, int32_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, "; it must be in ", least, " to ", most));
}

}  // namespace

absl::StatusOr<PromptLookupOptions> ResolvePromptLookup(const PromptLookupOverrides& overrides) {
  const PromptLookupOptions defaults;
  PromptLookupOptions options;
  options.num_tokens = overrides.num_tokens.value_or(defaults.num_tokens);
  VALLM_RETURN_IF_ERROR(
      CheckRange("num_speculative_tokens", options.num_tokens, 0, kMaxSpeculativeTokens));
  options.max_length = overrides.max_length.value_or(
      std::max(defaults.max_length, overrides.min_length.value_or(1)));
  VALLM_RETURN_IF_ERROR(CheckRange("prompt_lookup_max", options.max_length, 1, kMaxLookupLength));
  options.min_length =
      overrides.min_length.value_or(std::min(defaults.min_length, options.max_length));
  VALLM_RETURN_IF_ERROR(CheckRange("prompt_lookup_min", options.min_length, 1, options.max_length));
  return options;
}

PromptLookup::PromptLookup(const PromptLookupOptions& options, std::span<const int32_t> prompt,
                           std::span<const int32_t> output)
    : options_(options),
      index_(options.min_length, options.max_length),
      length_(options.num_tokens) {
  index_.Reserve(prompt.size() + output.size());
  for (const int32_t id : prompt) index_.Append(id);
  Judge(output);
}

std::span<const int32_t> PromptLookup::Guess(std::span<const int32_t> output) {
  Judge(output);
  if (output.size() < paused_until_) return {};
  const std::optional<NgramIndex::Match> match = index_.LongestMatch();
  if (!match.has_value()) return {};
  const std::span<const int32_t> rest = index_.tokens().subspan(static_cast<size_t>(match->end));
  const std::span<const int32_t> next =
      rest.first(std::min(rest.size(), static_cast<size_t>(length_)));
  guess_.assign(next.begin(), next.end());
  return guess_;
}

void PromptLookup::Judge(std::span<const int32_t> output) {
  const std::span<const int32_t> come = output.subspan(followed_);
  for (const int32_t id : come) index_.Append(id);
  followed_ = output.size();
  if (guess_.empty() || come.empty()) return;
  const auto [miss, unused] = std::mismatch(guess_.begin(), guess_.end(), come.begin(), come.end());
  if (miss == guess_.end()) {
    length_ = std::min(2 * length_, options_.num_tokens);
  } else {
    length_ = std::max(1, length_ / 2);
  }
  if (miss != guess_.begin()) {
    failures_ = 0;
    pause_ = kFirstPause;
  } else if (++failures_ == kPatience) {
    failures_ = 0;
    paused_until_ = followed_ + static_cast<size_t>(pause_);
    pause_ = std::min(2 * pause_, kLongestPause);
  }
  guess_.clear();
}

}  // namespace vallm::engine
