// str.format, and text replacement shared by the method and the filter `replace`.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_STR_FORMAT_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_STR_FORMAT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/object.h"
#include "tokenizer_service/template/runtime.h"

namespace vallm::tokenizer {

// `format`.format(*args, **kwargs): replacement fields with attribute and item access (through the
// sandbox), conversions and format specifications. Errors: INVALID_ARGUMENT.
absl::StatusOr<std::string> FormatString(Runtime& runtime, std::string_view format,
                                         const CallArgs& args);

// str.replace: at most `count` replacements, any number if negative. An empty `from` matches
// between all code points. Errors: INVALID_ARGUMENT when the result is too long.
absl::StatusOr<std::string> ReplaceText(Runtime& runtime, std::string_view text,
                                        std::string_view from, std::string_view to, int64_t count);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_STR_FORMAT_H_
