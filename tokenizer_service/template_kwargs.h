// The template variables of a request on top of the server's own (--default-chat-template-kwargs).
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_KWARGS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_KWARGS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vallm::tokenizer {

// Fails unless `json` is empty or a JSON object. INVALID_ARGUMENT, with `name` in the message.
absl::Status CheckTemplateKwargs(std::string_view json, std::string_view name);

// One JSON object with the members of both; those of `request` win, and keep their text to the
// letter (numbers included). Empty means no members; the result is empty if both are.
// Errors: INVALID_ARGUMENT if `request` is not a JSON object. REQUIRES: `defaults` passed the
// check.
absl::StatusOr<std::string> MergeTemplateKwargs(std::string_view defaults,
                                                std::string_view request);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_KWARGS_H_
