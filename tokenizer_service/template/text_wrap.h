// Python's textwrap, as the filter `wordwrap` uses it: tabs and white space are kept.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_TEXT_WRAP_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_TEXT_WRAP_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vallm::tokenizer {

struct WrapOptions {
  int64_t width = 79;  // code points; at least 1
  bool break_long_words = true;
  bool break_on_hyphens = true;
};

// The lines of at most `width` code points that one line breaks into; none for a blank line.
std::vector<std::string> WrapLine(std::string_view line, const WrapOptions& options);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_TEXT_WRAP_H_
