// Speculation without a draft model: guesses that a text goes on as it did the last time that its
// last few tokens occurred. Right where an answer copies from its prompt or repeats itself.
//
// A guess never changes what comes, only how many steps it takes; so guessing may depend on how
// guesses fared: one that fails makes the next ones shorter, one that holds doubles them, and after
// kPatience in a row of which no token held, none are made for a while.
//
// Pure; not thread-safe. Owned by whoever owns the request.
#ifndef VALLM_ENGINE_SERVICE_SPECULATION_PROMPT_LOOKUP_H_
#define VALLM_ENGINE_SERVICE_SPECULATION_PROMPT_LOOKUP_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/speculation/ngram_index.h"

namespace vallm::engine {

// Longest n-gram that is looked for.
inline constexpr int32_t kMaxLookupLength = 32;
// Most tokens guessed at a time.
inline constexpr int32_t kMaxSpeculativeTokens = 16;

struct PromptLookupOptions {
  int32_t num_tokens = 0;  // at most guessed at a time; 0: speculation is off
  int32_t min_length = 2;  // of the n-grams looked for; >= 1
  int32_t max_length = 8;  // in [min_length, kMaxLookupLength]
};

// What a request says; the rest is the default.
struct PromptLookupOverrides {
  std::optional<int32_t> num_tokens;
  std::optional<int32_t> min_length;
  std::optional<int32_t> max_length;
};

// Errors: INVALID_ARGUMENT naming num_speculative_tokens outside of 0 to kMaxSpeculativeTokens,
// prompt_lookup_max outside of 1 to kMaxLookupLength or prompt_lookup_min outside of 1 to that. A
// default minimum gives way to a given maximum and the other way round.
absl::StatusOr<PromptLookupOptions> ResolvePromptLookup(const PromptLookupOverrides& overrides);

class PromptLookup {
 public:
  static constexpr int kPatience = 3;
  static constexpr int64_t kFirstPause = 16;  // output tokens; every further one is twice as long
  static constexpr int64_t kLongestPause = 256;

  // `output` is what a resumed request has already. REQUIRES: ResolvePromptLookup's ranges,
  // num_tokens >= 1. Cost: one pass over both.
  PromptLookup(const PromptLookupOptions& options, std::span<const int32_t> prompt,
               std::span<const int32_t> output);

  // What may come behind `output`, often nothing; valid until the next call.
  // REQUIRES: `output` begins with what it was in the call before. Cost: microseconds, whatever the
  // length of the text.
  std::span<const int32_t> Guess(std::span<const int32_t> output);

 private:
  // Learns from what has come since the last guess.
  void Judge(std::span<const int32_t> output);

  const PromptLookupOptions options_;
  NgramIndex index_;
  size_t followed_ = 0;         // tokens of the output that index_ has
  std::vector<int32_t> guess_;  // behind these
  int32_t length_;              // of the next guess, at most
  int failures_ = 0;            // guesses in a row of which no token held
  int64_t pause_ = kFirstPause;
  size_t paused_until_ = 0;  // output tokens
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SPECULATION_PROMPT_LOOKUP_H_
