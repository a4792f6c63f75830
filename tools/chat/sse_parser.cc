#include "tools/chat/sse_parser.h"

#include <utility>

namespace vallm::tools {

std::vector<std::string> SseParser::Feed(std::string_view bytes) {
  std::vector<std::string> events;
  while (true) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) break;
    partial_line_.append(bytes.substr(0, end));
    bytes.remove_prefix(end + 1);
    if (!partial_line_.empty() && partial_line_.back() == '\r') partial_line_.pop_back();
    TakeLine(partial_line_, &events);
    partial_line_.clear();
  }
  partial_line_.append(bytes);
  return events;
}

void SseParser::TakeLine(std::string_view line, std::vector<std::string>* events) {
  constexpr std::string_view kData = "data:";
  if (line.empty()) {
    if (has_data_) events->push_back(std::exchange(data_, {}));
    has_data_ = false;
    return;
  }
  if (!line.starts_with(kData)) return;
  line.remove_prefix(kData.size());
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (has_data_) data_ += '\n';
  data_.append(line);
  has_data_ = true;
}

}  // namespace vallm::tools
