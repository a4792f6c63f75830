#include "tests/bench/load/frame_scanner.h"

#include <cstddef>
#include <cstdlib>

namespace vallm::bench {
namespace {

// Whether `json` has one of the fields that hold text, and something in it.
bool HasText(std::string_view json) {
  for (const std::string_view field : {"\"content\":", "\"reasoning_content\":", "\"text\":"}) {
    for (size_t at = json.find(field); at != std::string_view::npos;
         at = json.find(field, at + 1)) {
      std::string_view value = json.substr(at + field.size());
      while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
      if (value.size() > 1 && value[0] == '"' && value[1] != '"') return true;
    }
  }
  return false;
}

}  // namespace

void FrameScanner::Feed(std::string_view bytes) {
  payload_.append(bytes);
  if (!streamed_) return;
  size_t begin = 0;
  for (size_t end; (end = payload_.find("\n\n", begin)) != std::string::npos; begin = end + 2) {
    TakeFrame(std::string_view(payload_).substr(begin, end - begin));
  }
  payload_.erase(0, begin);
}

void FrameScanner::End() {
  if (!streamed_) LookForTokens(payload_);
}

void FrameScanner::TakeFrame(std::string_view frame) {
  ++frames_;
  if (!frame.starts_with("data:")) return;
  saw_done_ |= frame == "data: [DONE]";
  saw_error_ |= frame.starts_with("data: {\"error\"");
  if (!has_text_) has_text_ = HasText(frame);
  LookForTokens(frame);
}

void FrameScanner::LookForTokens(std::string_view json) {
  constexpr std::string_view kField = "\"completion_tokens\":";
  const size_t at = json.find(kField);
  if (at != std::string_view::npos) {
    tokens_ = std::strtoll(json.data() + at + kField.size(), nullptr, 10);
  }
}

}  // namespace vallm::bench
