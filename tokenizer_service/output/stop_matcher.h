// Ends a stream of text at the first stop string, wherever the stream is cut. Text is held back
// exactly as long as it is the beginning of a stop string.
//
// The first stop string to be complete wins; of those that end at the same byte the longest. So the
// result does not depend on how the text was cut. Not thread-safe. Cost: linear in the text, times
// the number of stop strings where one of them may have begun.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_STOP_MATCHER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_STOP_MATCHER_H_

#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace vallm::tokenizer {

// Errors: INVALID_ARGUMENT for one that is empty or not UTF-8; the message has its index.
absl::Status ValidateStopStrings(const std::vector<std::string>& stop);

class StopMatcher {
 public:
  // `include_stop`: the stop string itself is released too. REQUIRES: ValidateStopStrings(stop).
  StopMatcher(std::vector<std::string> stop, bool include_stop);

  // Appends to *released what is certain to be before a stop string. Once stopped, nothing.
  // REQUIRES: `text` consists of whole characters.
  void Append(std::string_view text, std::string* released);

  // Whether a stop string that is complete in text from now on ends it (the beginning may be in
  // earlier text); else it is text like any other. At first it does.
  void SetArmed(bool armed) { armed_ = armed; }

  // The text is over: releases what was held back. Nothing after a stop.
  void Flush(std::string* released);

  bool stopped() const { return matched_ != nullptr; }
  // The stop string that ended the text. REQUIRES: stopped().
  const std::string& matched() const { return *matched_; }

 private:
  // One stop string with its failure function: border[n] is the length of the longest proper
  // prefix of text[0, n) that also ends it.
  struct Pattern {
    std::string text;
    std::vector<size_t> border;
    size_t matched = 0;  // the text so far ends with text[0, matched)
  };

  // Advances every pattern by one byte. Returns the longest pattern that is complete now, or null.
  const Pattern* Advance(char byte);
  // Lets complete patterns go on to where they may begin again.
  void PassOver();
  size_t LongestMatch() const;

  std::vector<Pattern> patterns_;
  std::bitset<256> first_bytes_;
  const bool include_stop_;
  bool armed_ = true;
  std::string held_;  // the longest end of the text that begins a stop string
  const std::string* matched_ = nullptr;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_STOP_MATCHER_H_
