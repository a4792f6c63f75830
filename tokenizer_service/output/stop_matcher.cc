#include "tokenizer_service/output/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

std::vector<size_t> Borders(std::string_view pattern) {
  std::vector<size_t> border(pattern.size() + 1, 0);
  for (size_t n = 1; n < pattern.size(); ++n) {
    size_t length = border[n];
    while (length > 0 && pattern[length] != pattern[n]) length = border[length];
    border[n + 1] = pattern[length] == pattern[n] ? length + 1 : 0;
  }
  return border;
}

}  // namespace

absl::Status ValidateStopStrings(const std::vector<std::string>& stop) {
  for (size_t i = 0; i < stop.size(); ++i) {
    if (stop[i].empty()) {
      return absl::InvalidArgumentError(absl::StrCat("stop string ", i, " is empty"));
    }
    if (const auto offset = FirstInvalidUtf8(stop[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("stop string ", i, " is not valid UTF-8 at byte ", *offset));
    }
  }
  return absl::OkStatus();
}

StopMatcher::StopMatcher(std::vector<std::string> stop, bool include_stop)
    : include_stop_(include_stop) {
  for (std::string& text : stop) {
    first_bytes_.set(static_cast<unsigned char>(text.front()));
    std::vector<size_t> border = Borders(text);
    patterns_.push_back({std::move(text), std::move(border)});
  }
}

const StopMatcher::Pattern* StopMatcher::Advance(char byte) {
  const Pattern* complete = nullptr;
  for (Pattern& pattern : patterns_) {
    while (pattern.matched > 0 && pattern.text[pattern.matched] != byte) {
      pattern.matched = pattern.border[pattern.matched];
    }
    if (pattern.text[pattern.matched] == byte) ++pattern.matched;
    if (pattern.matched == pattern.text.size() &&
        (complete == nullptr || pattern.text.size() > complete->text.size())) {
      complete = &pattern;
    }
  }
  return complete;
}

void StopMatcher::PassOver() {
  for (Pattern& pattern : patterns_) {
    if (pattern.matched == pattern.text.size()) pattern.matched = pattern.border[pattern.matched];
  }
}

size_t StopMatcher::LongestMatch() const {
  size_t longest = 0;
  for (const Pattern& pattern : patterns_) longest = std::max(longest, pattern.matched);
  return longest;
}

void StopMatcher::Append(std::string_view text, std::string* released) {
  if (stopped()) return;
  if (patterns_.empty()) {
    *released += text;
    return;
  }
  bool idle = held_.empty();  // no stop string has begun
  for (size_t i = 0; i < text.size(); ++i) {
    if (idle && !first_bytes_.test(static_cast<unsigned char>(text[i]))) continue;
    const Pattern* complete = Advance(text[i]);
    if (complete != nullptr && !armed_) PassOver();
    if (complete != nullptr && armed_) {
      held_ += text.substr(0, i + 1);
      if (!include_stop_) held_.resize(held_.size() - complete->text.size());
      *released += held_;
      held_.clear();
      matched_ = &complete->text;
      return;
    }
    idle = LongestMatch() == 0;
  }
  held_ += text;
  const size_t release = held_.size() - LongestMatch();
  released->append(held_, 0, release);
  held_.erase(0, release);
}

void StopMatcher::Flush(std::string* released) {
  *released += held_;
  held_.clear();
}

}  // namespace vallm::tokenizer
