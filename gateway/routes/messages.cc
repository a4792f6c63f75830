#include "gateway/routes/messages.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "gateway/anthropic/errors.h"
#include "gateway/anthropic/messages_encoder.h"
#include "gateway/anthropic/messages_request.h"
#include "gateway/routes/chat_job.h"
#include "gateway/routes/chat_prompt.h"
#include "gateway/routes/generate.h"
#include "gateway/routes/ignored_params.h"
#include "gateway/routes/request_class.h"

namespace vallm::gateway {
namespace {

absl::StatusOr<GenerationJob> PrepareJob(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(ChatRequest chat,
                         ParseMessagesRequest(request.body, ChatRulesOf(context.options)));
  VALLM_RETURN_IF_ERROR(SetClass(context, request, &chat));
  VALLM_ASSIGN_OR_RETURN(GenerationJob job,
                         PrepareChatJob(context, std::move(chat), request.request_id));
  job.id_prefix = "msg_";
  job.stream_encoder = NewMessagesStreamEncoder;
  job.whole_encoder = NewMessagesWholeEncoder;
  job.error_response = MessagesErrorResponse;
  return job;
}

HttpResponse RunMessages(GatewayContext& context, const HttpRequest& request) {
  absl::StatusOr<RequestGate::Place> place = context.gate.Enter();
  if (!place.ok()) return MessagesErrorResponse(place.status());
  absl::StatusOr<GenerationJob> job = PrepareJob(context, request);
  if (!job.ok()) return MessagesErrorResponse(job.status());
  return RunGeneration(context, request, *std::move(job), *std::move(place));
}

absl::StatusOr<int64_t> CountTokens(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(const ChatRequest chat,
                         ParseCountTokensRequest(request.body, ChatRulesOf(context.options)));
  VALLM_RETURN_IF_ERROR(CheckIgnored(context.options, request, chat.params.ignored));
  VALLM_RETURN_IF_ERROR(context.GetServedModel(chat.params.model).status());
  return CountPromptTokens(context, chat, request.request_id);
}

// What Anthropic's SDKs call the request id.
HttpResponse WithRequestId(HttpResponse response, const HttpRequest& request) {
  response.headers.emplace_back("request-id", request.request_id.id);
  return response;
}

}  // namespace

HttpResponse Messages(GatewayContext& context, const HttpRequest& request) {
  return WithRequestId(RunMessages(context, request), request);
}

HttpResponse CountMessageTokens(GatewayContext& context, const HttpRequest& request) {
  const absl::StatusOr<int64_t> count = CountTokens(context, request);
  if (!count.ok()) return WithRequestId(MessagesErrorResponse(count.status()), request);
  HttpResponse response;
  response.body = absl::StrCat("{\"input_tokens\":", *count, "}");
  return WithRequestId(std::move(response), request);
}

}  // namespace vallm::gateway
