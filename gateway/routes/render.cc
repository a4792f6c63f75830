#include "gateway/routes/render.h"

#include <string>

#include "common/status_macros.h"
#include "gateway/openai/chat_request.h"
#include "gateway/openai/errors.h"
#include "gateway/routes/chat_job.h"
#include "gateway/routes/chat_prompt.h"
#include "gateway/routes/ignored_params.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

const char* NameOf(v1::PromptThinkState state) {
  switch (state) {
    case v1::PROMPT_THINK_STATE_OPEN:
      return "open";
    case v1::PROMPT_THINK_STATE_CLOSED:
      return "closed";
    case v1::PROMPT_THINK_STATE_UNAWARE:
      return "unaware";
    default:
      return "none";
  }
}

absl::StatusOr<ChatRequest> ParseChat(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(ChatRequest chat,
                         ParseChatRequest(request.body, ChatRulesOf(context.options)));
  VALLM_RETURN_IF_ERROR(CheckIgnored(context.options, request, chat.params.ignored));
  return chat;
}

absl::StatusOr<HttpResponse> Render(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(const ChatRequest chat, ParseChat(context, request));
  VALLM_ASSIGN_OR_RETURN(const ServedModel model, context.GetServedModel(chat.params.model));
  VALLM_ASSIGN_OR_RETURN(const v1::RenderChatResponse prompt,
                         RenderChatPrompt(context, chat, request.request_id, /*with_text=*/true));
  const Json body = {{"model", chat.params.model.empty() ? model.names.front() : chat.params.model},
                     {"prompt", prompt.text()},
                     {"token_ids", prompt.token_ids()},
                     {"count", prompt.token_ids_size()},
                     {"max_model_len", model.max_model_len},
                     {"think_state", NameOf(prompt.prompt_think_state())}};
  HttpResponse response;
  response.body = body.dump();
  AddIgnoredHeader(chat.params.ignored, &response.headers);
  return response;
}

absl::StatusOr<HttpResponse> Count(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(const ChatRequest chat, ParseChat(context, request));
  VALLM_RETURN_IF_ERROR(context.GetServedModel(chat.params.model).status());
  VALLM_ASSIGN_OR_RETURN(const int64_t count, CountPromptTokens(context, chat, request.request_id));
  HttpResponse response;
  response.body = Json{{"object", "chat.completion.input_tokens"}, {"input_tokens", count}}.dump();
  AddIgnoredHeader(chat.params.ignored, &response.headers);
  return response;
}

}  // namespace

HttpResponse ApplyTemplate(GatewayContext& context, const HttpRequest& request) {
  auto response = Render(context, request);
  return response.ok() ? *std::move(response) : ErrorResponse(response.status());
}

HttpResponse CountInputTokens(GatewayContext& context, const HttpRequest& request) {
  auto response = Count(context, request);
  return response.ok() ? *std::move(response) : ErrorResponse(response.status());
}

}  // namespace vallm::gateway
