// The tokens that open and close a model's thoughts, and those that end a thought early.
#ifndef VALLM_ENGINE_SERVICE_THINKING_THOUGHT_TOKENS_H_
#define VALLM_ENGINE_SERVICE_THINKING_THOUGHT_TOKENS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::engine {

// With what Qwen's models are told to end a thought, and what they were trained to answer behind.
inline constexpr std::string_view kClosingText =
    "\n\nConsidering the limited time by the user, I have to give the solution based on the "
    "thinking directly now.\n</think>\n\n";

// Where a sequence of tokens stands with respect to thoughts.
enum class ThoughtPhase {
  kMaybeThinking,  // the next token may open a thought, or begin the answer
  kThinking,       // a thought is open
  kAnswer,         // no thought is open, and none will be
};

struct ThoughtTokens {
  int32_t open = -1;                    // <think>
  int32_t close = -1;                   // </think>
  std::vector<int32_t> closing_ids;     // kClosingText; contains `close` once
  size_t close_index = 0;               // where
  std::vector<int32_t> whitespace_ids;  // ascending; tokens that may come before <think>
  std::vector<int32_t> turn_ids;        // that open a turn of the conversation

  // Errors: INVALID_ARGUMENT if the model has no tokens <think> and </think>, below `vocab_size`
  // like all of the closing text.
  static absl::StatusOr<ThoughtTokens> FromTokenizer(const tokenizer::Tokenizer& tokenizer,
                                                     int32_t vocab_size);

  // Where `prompt` leaves the model: what the last of <think> and </think> in its last turn says.
  // Cost: one walk back over that turn.
  ThoughtPhase PhaseBehind(std::span<const int32_t> prompt) const;
};

// Those of a model directory, read when they are first asked for: few requests need them.
// Thread-safe.
class ThoughtTokensLoader {
 public:
  // `vocab_size` is the number of rows of logits.
  ThoughtTokensLoader(std::string model_dir, int32_t vocab_size)
      : model_dir_(std::move(model_dir)), vocab_size_(vocab_size) {}

  // Errors: those of FromTokenizer; INVALID_ARGUMENT if the model has no usable tokenizer.json.
  absl::StatusOr<std::shared_ptr<const ThoughtTokens>> Get();

 private:
  const std::string model_dir_;
  const int32_t vocab_size_;
  Mutex mu_;  // held while they are read
  absl::Status error_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const ThoughtTokens> tokens_ ABSL_GUARDED_BY(mu_);
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_THINKING_THOUGHT_TOKENS_H_
