// JSON text to values: key order, the difference of 1 and 1.0, and integers of any size are kept.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_JSON_VALUE_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_JSON_VALUE_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// `what` names the text in messages ("messages", "context"). A repeated key keeps its first place
// and its last value. Errors: INVALID_ARGUMENT for malformed JSON, a lone surrogate, text that is
// not UTF-8, or nesting beyond 200 levels.
absl::StatusOr<Value> ParseJson(std::string_view text, std::string_view what);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_JSON_VALUE_H_
