#include "tokenizer_service/template/render_template.h"

#include "common/status_macros.h"
#include "tokenizer_service/template/compiled_template.h"
#include "tokenizer_service/template/json_value.h"

namespace vallm::tokenizer {

absl::StatusOr<std::string> RenderTemplate(std::string_view source, std::string_view context_json,
                                           absl::Time now, const Limits& limits) {
  VALLM_ASSIGN_OR_RETURN(const Value context, ParseJson(context_json, "context"));
  if (!context.is_dict()) return absl::InvalidArgumentError("context: must be a JSON object");
  VALLM_ASSIGN_OR_RETURN(const auto compiled, CompiledTemplate::Compile(source, limits));
  return compiled->Render(context, now, absl::UTCTimeZone());
}

}  // namespace vallm::tokenizer
