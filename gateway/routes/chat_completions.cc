#include "gateway/routes/chat_completions.h"

#include <utility>

#include "common/status_macros.h"
#include "gateway/openai/chat_request.h"
#include "gateway/openai/errors.h"
#include "gateway/routes/chat_prompt.h"
#include "gateway/routes/generate.h"

namespace vallm::gateway {
namespace {

absl::StatusOr<GenerationJob> PrepareJob(GatewayContext& context, const HttpRequest& request) {
  const GatewayOptions& options = context.options;
  VALLM_ASSIGN_OR_RETURN(
      ChatRequest chat,
      ParseChatRequest(request.body, {.auto_tool_choice = !options.tool_call_parser.empty(),
                                      .forced_tool_choice = options.tool_call_parser == "hermes",
                                      .max_logprobs = options.max_logprobs}));
  GenerationJob job;
  VALLM_ASSIGN_OR_RETURN(job.model, context.GetServedModel(chat.params.model));
  VALLM_ASSIGN_OR_RETURN(v1::RenderChatResponse prompt,
                         RenderChatPrompt(context, chat, request.request_id));
  GenerationSpec::Choice choice;
  choice.prompt_token_ids.assign(prompt.token_ids().begin(), prompt.token_ids().end());
  choice.prompt_think_state = prompt.prompt_think_state();
  job.spec.choices.push_back(std::move(choice));
  v1::ParseOptions& parse = job.spec.parse_options;
  parse.set_reasoning_parser(options.reasoning_parser);
  parse.set_tool_parser(options.tool_call_parser);
  parse.set_tools_enabled(!chat.tools_json.empty());
  parse.set_tools_json(chat.tools_json);
  parse.set_parallel_tool_calls(chat.parallel_tool_calls);
  job.spec.whole = !chat.params.stream;
  job.params = std::move(chat.params);
  job.id_prefix = "chatcmpl-";
  job.prompt_param = "messages";
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
