// Output tokens, as many as follow each other with the same role: how events say which tokens they
// show. Plain values.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_TOKEN_RUN_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_TOKEN_RUN_H_

#include <cstdint>
#include <span>
#include <vector>

namespace vallm::tokenizer {

// What became of a token's text. A token whose text is of several roles has that of the first of
// its bytes that is shown.
enum class TokenRole {
  kReasoning,  // some of it is in a kReasoning event
  kContent,    // some of it is in a kContent event
  kToolCall,   // of a tool call that was delivered: markup, name and arguments
  kHidden,     // in no event: think tags, whitespace removed beside tags, calls that were dropped
  kSilent,     // no text: a special token that is skipped, an id outside the vocabulary
  kStop,       // the stop string, or a part of it, where that is not shown
};

struct TokenRun {
  TokenRole role = TokenRole::kContent;
  int64_t count = 0;  // at least 1

  friend bool operator==(const TokenRun&, const TokenRun&) = default;
};

// Appends runs, the first of them joined to the last one there where the roles are equal.
void AppendTokenRuns(std::span<const TokenRun> runs, std::vector<TokenRun>* out);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_TOKEN_RUN_H_
