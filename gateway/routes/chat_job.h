// A checked chat request, of whichever API, to a job for RunGeneration.
#ifndef VALLM_GATEWAY_ROUTES_CHAT_JOB_H_
#define VALLM_GATEWAY_ROUTES_CHAT_JOB_H_

#include <string>

#include "absl/status/statusor.h"
#include "gateway/openai/chat_request.h"
#include "gateway/routes/context.h"
#include "gateway/routes/generate.h"

namespace vallm::gateway {

ChatRequestRules ChatRulesOf(const GatewayOptions& options);

// The job with its prompt, but without what is the API's own: the prefix of ids, the encoders and
// the form of errors. Errors: those of GetServedModel and of RenderChatPrompt.
absl::StatusOr<GenerationJob> PrepareChatJob(GatewayContext& context, ChatRequest chat,
                                             const RequestId& request_id);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_CHAT_JOB_H_
