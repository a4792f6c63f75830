// The text of a template and places in it, for error messages.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_SOURCE_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_SOURCE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tokenizer_service/template/limits.h"

namespace vallm::tokenizer {

// Template text as the lexer sees it: line ends are all \n, one at the very end is dropped.
class Source {
 public:
  // Errors: INVALID_ARGUMENT if `text` is not UTF-8 (with the byte offset) or too long.
  static absl::StatusOr<Source> Create(std::string_view text, const Limits& limits);

  std::string_view text() const { return text_; }
  // `status` with "template line L, column C: " before its message and the line quoted after it. A
  // status that has a place already is returned as it is: the innermost place wins.
  absl::Status Locate(const absl::Status& status, uint32_t offset) const;

 private:
  std::string text_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_SOURCE_H_
