// Python's % operator on strings, and the filter `format`.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_PRINTF_FORMAT_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_PRINTF_FORMAT_H_

#include "absl/status/statusor.h"
#include "tokenizer_service/template/runtime.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// `format` % `args`: args is a tuple of arguments, a dict for %(name)s, or the one argument.
// REQUIRES: format.is_str(). Errors: INVALID_ARGUMENT for a bad conversion, too few or too many
// arguments, or a string that grows too long.
absl::StatusOr<Value> PrintfFormat(Runtime& runtime, const Value& format, const Value& args);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_PRINTF_FORMAT_H_
