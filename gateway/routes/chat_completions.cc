#include "gateway/routes/chat_completions.h"

#include <utility>

#include "common/status_macros.h"
#include "gateway/openai/chat_request.h"
#include "gateway/openai/errors.h"
#include "gateway/routes/chat_job.h"
#include "gateway/routes/generate.h"
#include "gateway/routes/request_class.h"

namespace vallm::gateway {
namespace {

absl::StatusOr<GenerationJob> PrepareJob(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(ChatRequest chat,
                         ParseChatRequest(request.body, ChatRulesOf(context.options)));
  VALLM_RETURN_IF_ERROR(SetClass(context, request, &chat));
  VALLM_ASSIGN_OR_RETURN(GenerationJob job,
                         PrepareChatJob(context, std::move(chat), request.request_id));
  job.id_prefix = "chatcmpl-";
  job.stream_encoder = NewChatStreamEncoder;
  job.whole_encoder = NewChatWholeEncoder;
  return job;
}

}  // namespace

HttpResponse ChatCompletions(GatewayContext& context, const HttpRequest& request) {
  absl::StatusOr<RequestGate::Place> place = context.gate.Enter();
  if (!place.ok()) return ErrorResponse(place.status());
  absl::StatusOr<GenerationJob> job = PrepareJob(context, request);
  if (!job.ok()) return ErrorResponse(job.status());
  return RunGeneration(context, request, *std::move(job), *std::move(place));
}

}  // namespace vallm::gateway
