#include "gateway/routes/engine_refusal.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"

namespace vallm::gateway {

absl::Status NameTheParameter(const absl::Status& status, const std::string& prompt_param) {
  if (!absl::IsInvalidArgument(status)) return status;
  const std::string_view message = ToStd(status.message());
  const std::string_view field = message.substr(0, message.find_first_of(" :"));
  const std::string_view name = field.substr(0, field.find('['));
  for (const char* known : {"logit_bias", "allowed_token_ids", "bad_words", "stop_token_ids",
                            "min_tokens", "max_tokens", "cache_salt"}) {
    if (name == known) return InvalidParam(field, message);
  }
  if (name != "prompt_token_ids") return status;
  // Which of several prompts it is the engine does not know.
  return InvalidParam(prompt_param, absl::StrCat("'", prompt_param, "': ", ToAbsl(message)));
}

}  // namespace vallm::gateway
