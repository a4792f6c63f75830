#include "gateway/openai/completion_request.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxChoices = 128;
constexpr int kDefaultMaxTokens = 16;

absl::Status ReadPrompt(JsonObject& body, std::vector<PromptInput>* prompts) {
  const Json* prompt = body.Find("prompt");
  if (prompt == nullptr) return InvalidParam("prompt", "'prompt' is missing");
  if (prompt->is_string()) {
    prompts->emplace_back(prompt->get<std::string>());
    return absl::OkStatus();
  }
  if (!prompt->is_array()) {
    return InvalidParam("prompt",
                        absl::StrCat("'prompt' must be a string, an array of token ids or "
                                     "an array of prompts, not ",
                                     ToAbsl(KindOf(*prompt))));
  }
  if (prompt->empty()) return InvalidParam("prompt", "'prompt' is empty");
  if (prompt->front().is_number()) {
    VALLM_ASSIGN_OR_RETURN(std::vector<int32_t> ids, body.TokenIds("prompt"));
    prompts->emplace_back(std::move(ids));
    return absl::OkStatus();
  }
  for (size_t i = 0; i < prompt->size(); ++i) {
    const Json& element = (*prompt)[i];
    const std::string path = absl::StrCat("prompt[", i, "]");
    if (element.is_string()) {
      prompts->emplace_back(element.get<std::string>());
    } else if (element.is_array() && !element.empty()) {
      const Json wrapped = {{path, element}};
      JsonObject reader(wrapped, "");
      VALLM_ASSIGN_OR_RETURN(std::vector<int32_t> ids, reader.TokenIds(path));
      prompts->emplace_back(std::move(ids));
    } else {
      return InvalidParam(
          path, absl::StrCat("'", path, "' must be a string or a non-empty array of token ids"));
    }
  }
  return absl::OkStatus();
}

// The best of several answers is known when all have ended: there is nothing to stream.
absl::Status ReadBestOf(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto best_of, body.Integer("best_of", 1, kMaxChoices));
  if (!best_of) return absl::OkStatus();
  if (*best_of < params->n) {
    return InvalidParam("best_of", absl::StrCat("'best_of' is ", *best_of,
                                                "; it must be at least 'n', ", params->n));
  }
  params->best_of = static_cast<int>(*best_of);
  if (params->stream && params->best_of > params->n) {
    return InvalidParam("best_of", "'best_of' greater than 'n' cannot be streamed");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CompletionRequest> ParseCompletionRequest(std::string_view body, int max_logprobs) {
  VALLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(body));
  CompletionRequest request;
  JsonObject fields(json, "");
  VALLM_RETURN_IF_ERROR(ReadGenerationParams(fields, &request.params));
  if (!request.params.max_tokens) request.params.max_tokens = kDefaultMaxTokens;
  VALLM_RETURN_IF_ERROR(ReadCompletionLogprobs(fields, max_logprobs, &request.params));
  VALLM_RETURN_IF_ERROR(ReadBestOf(fields, &request.params));
  VALLM_ASSIGN_OR_RETURN(const auto echo, fields.Bool("echo"));
  request.echo = echo.value_or(false);
  if (request.echo && request.params.stream) {
    return InvalidParam("echo", "'echo' cannot be streamed");
  }
  if (request.echo && request.params.truncate_prompt_tokens.has_value()) {
    return InvalidParam("truncate_prompt_tokens",
                        "'truncate_prompt_tokens' and 'echo' exclude each other");
  }
  VALLM_RETURN_IF_ERROR(ReadPrompt(fields, &request.prompts));
  const size_t choices = request.prompts.size() * static_cast<size_t>(request.params.best_of);
  if (choices > kMaxChoices) {
    return InvalidParam(
        "prompt", absl::StrCat(request.prompts.size(), " prompts with ", request.params.best_of,
                               " answers each make ", choices, " answers; at most ", kMaxChoices,
                               " are allowed"));
  }
  VALLM_RETURN_IF_ERROR(RefuseOrIgnoreTheRest(fields, &request.params));
  return request;
}

}  // namespace vallm::gateway
