// Python's pprint.pformat: what the filter pprint gives.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_PRETTY_PRINT_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_PRETTY_PRINT_H_

#include <string>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/runtime.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// `value` in lines of 80 columns where that is possible, keys in order. Takes steps by its size.
// Errors: INVALID_ARGUMENT when the text exceeds the limits.
absl::StatusOr<std::string> PrettyPrint(Runtime& runtime, const Value& value);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_PRETTY_PRINT_H_
