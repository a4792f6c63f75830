// Server-sent events, as far as OpenAI streams use them: the data of each event, from bytes that
// arrive in any pieces. Not thread-safe.
#ifndef VALLM_TOOLS_CHAT_SSE_PARSER_H_
#define VALLM_TOOLS_CHAT_SSE_PARSER_H_

#include <string>
#include <string_view>
#include <vector>

namespace vallm::tools {

class SseParser {
 public:
  // Returns the data of the events that `bytes` complete. Several data lines of one event are
  // joined by line feeds; comments and other fields are skipped.
  std::vector<std::string> Feed(std::string_view bytes);

 private:
  void TakeLine(std::string_view line, std::vector<std::string>* events);

  std::string partial_line_;
  std::string data_;
  bool has_data_ = false;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_CHAT_SSE_PARSER_H_
