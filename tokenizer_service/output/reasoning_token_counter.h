// Counts the token ids whose text begins inside the reasoning. The parsers know where the reasoning
// ends as an offset in the text, and later than the token comes, so a token waits until the text at
// its offset is settled. Not thread-safe. Memory: the unsettled tokens.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_REASONING_TOKEN_COUNTER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_REASONING_TOKEN_COUNTER_H_

#include <cstdint>
#include <deque>

namespace vallm::tokenizer {

class ReasoningTokenCounter {
 public:
  // A token whose text begins at `offset` bytes. REQUIRES: offsets do not fall.
  void Add(int64_t offset) {
    if (!ended_) unsettled_.push_back(offset);
  }

  // Text before `end` bytes is reasoning; if `ended`, nothing behind it is. REQUIRES: `end` does
  // not fall.
  void Settle(int64_t end, bool ended) {
    for (; !unsettled_.empty() && unsettled_.front() < end; unsettled_.pop_front()) ++count_;
    if (!ended) return;
    ended_ = true;
    unsettled_.clear();
  }

  int64_t count() const { return count_; }

 private:
  std::deque<int64_t> unsettled_;
  int64_t count_ = 0;
  bool ended_ = false;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_REASONING_TOKEN_COUNTER_H_
