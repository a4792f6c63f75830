#include "tokenizer_service/output/tag_matcher.h"

#include <algorithm>

namespace vallm::tokenizer {

bool TagMatcher::Find(std::string_view* text, std::string* before) {
  while (!text->empty()) {
    if (matched_ == 0) {
      const size_t plain = std::min(text->find('<'), text->size());
      before->append(*text, 0, plain);
      text->remove_prefix(plain);
      if (text->empty()) return false;
    }
    if (text->front() == tag_[matched_]) {
      text->remove_prefix(1);
      if (++matched_ < tag_.size()) continue;
      matched_ = 0;
      return true;
    }
    // Only the tag's first byte is '<', so no shorter beginning of it can end here.
    Flush(before);
  }
  return false;
}

void TagMatcher::Flush(std::string* before) {
  before->append(tag_, 0, matched_);
  matched_ = 0;
}

}  // namespace vallm::tokenizer
