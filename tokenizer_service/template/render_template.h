// Renders any template over a JSON context, in one call: for tools and tests. A server that renders
// the same template again keeps a ChatTemplate (chat_template.h).
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_RENDER_TEMPLATE_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_RENDER_TEMPLATE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tokenizer_service/template/limits.h"

namespace vallm::tokenizer {

// `context_json` is a JSON object; its members are the template's variables. `now` (UTC) is what
// strftime_now() formats. Thread-safe. Errors: INVALID_ARGUMENT, as ChatTemplate's.
absl::StatusOr<std::string> RenderTemplate(std::string_view source, std::string_view context_json,
                                           absl::Time now, const Limits& limits = {});

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_RENDER_TEMPLATE_H_
