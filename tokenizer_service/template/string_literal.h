// Escapes in string literals: Python's unicode-escape.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_STRING_LITERAL_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_STRING_LITERAL_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vallm::tokenizer {

// Resolves \n \t \xHH \uHHHH \UHHHHHHHH \OOO and the others; an unknown escape stays as it is.
// Errors: INVALID_ARGUMENT for a truncated escape, a surrogate, or \N{name}, which is not
// supported.
absl::StatusOr<std::string> UnescapeString(std::string_view body);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_STRING_LITERAL_H_
