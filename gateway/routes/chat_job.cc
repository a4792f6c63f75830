#include "gateway/routes/chat_job.h"

#include <utility>

#include "common/status_macros.h"
#include "gateway/routes/chat_prompt.h"

namespace vallm::gateway {
namespace {

tokenizer::PromptThinkState ThinkStateFromProto(v1::PromptThinkState state) {
  switch (state) {
    case v1::PROMPT_THINK_STATE_OPEN:
      return tokenizer::PromptThinkState::kOpen;
    case v1::PROMPT_THINK_STATE_CLOSED:
      return tokenizer::PromptThinkState::kClosed;
    case v1::PROMPT_THINK_STATE_UNAWARE:
      return tokenizer::PromptThinkState::kUnaware;
    default:
      return tokenizer::PromptThinkState::kNone;
  }
}

}  // namespace

ChatRequestRules ChatRulesOf(const GatewayOptions& options) {
  return {.auto_tool_choice = !options.tool_call_parser.empty(),
          .forced_tool_choice = options.tool_call_parser == "hermes",
          .max_logprobs = options.max_logprobs,
          .max_messages = options.max_messages,
          .request_chat_template = options.trust_request_chat_template};
}

absl::StatusOr<GenerationJob> PrepareChatJob(GatewayContext& context, ChatRequest chat,
                                             const RequestId& request_id) {
  const GatewayOptions& options = context.options;
  GenerationJob job;
  VALLM_ASSIGN_OR_RETURN(job.model, context.GetServedModel(chat.params.model));
  VALLM_ASSIGN_OR_RETURN(v1::RenderChatResponse prompt,
                         RenderChatPrompt(context, chat, request_id,
                                          /*with_text=*/chat.params.return_prompt_text));
  if (chat.params.return_prompt_text) job.prompt_texts = {std::move(*prompt.mutable_text())};
  GenerationSpec::Choice choice;
  choice.prompt_token_ids.assign(prompt.token_ids().begin(), prompt.token_ids().end());
  choice.prompt_think_state = ThinkStateFromProto(prompt.prompt_think_state());
  job.spec.choices.push_back(std::move(choice));
  tokenizer::OutputOptions& output = job.spec.output;
  if (chat.params.separate_reasoning) output.reasoning_parser = options.reasoning_parser;
  output.tool_parser = options.tool_call_parser;
  output.tools_enabled = !chat.tools_json.empty();
  output.tools_json = chat.tools_json;
  output.parallel_tool_calls = chat.parallel_tool_calls;
  job.spec.whole = !chat.params.stream;
  context.metrics.CountChat(chat.params.thinking.enabled);
  job.params = std::move(chat.params);
  job.prompt_param = "messages";
  return job;
}

}  // namespace vallm::gateway
