#include "gateway/routes/request_class.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "gateway/openai/errors.h"
#include "gateway/routing/prompt_blocks.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kClassHeader[] = "x-vallm-class";
constexpr char kSessionHeader[] = "x-session-id";
// Of background requests that name none: for the engine, where they run beside chats.
constexpr int32_t kBackgroundPriority = 10;

void SwitchThinkingOff(ChatRequest* chat) {
  ThinkingParams& thinking = chat->params.thinking;
  if (thinking.enabled.has_value() || thinking.token_budget.has_value()) return;
  Json kwargs =
      chat->template_kwargs_json.empty() ? Json::object() : Json::parse(chat->template_kwargs_json);
  if (kwargs.contains("enable_thinking")) return;  // something that the template understands
  thinking.enabled = false;
  kwargs["enable_thinking"] = false;
  chat->template_kwargs_json = kwargs.dump();
}

}  // namespace

absl::Status SetClass(const HttpRequest& request, GenerationParams* params) {
  const std::string* name = FindHeader(request.headers, kClassHeader);
  if (name == nullptr) return absl::OkStatus();
  if (*name != "background" && *name != "interactive") {
    return InvalidParam(kClassHeader,
                        absl::StrCat("the header x-vallm-class is \"", *name,
                                     "\"; it must be \"background\" or \"interactive\""));
  }
  params->background = *name == "background";
  return absl::OkStatus();
}

absl::Status SetClass(const GatewayContext& context, const HttpRequest& request,
                      ChatRequest* chat) {
  GenerationParams& params = chat->params;
  VALLM_RETURN_IF_ERROR(SetClass(request, &params));
  if (FindHeader(request.headers, kClassHeader) == nullptr) {
    params.task = context.background_tasks.Recognise(chat->messages_json);
    params.background = !params.task.empty();
  }
  if (params.background) SwitchThinkingOff(chat);
  return absl::OkStatus();
}

void FillPlacement(const HttpRequest& request, const GenerationParams& params,
                   GenerationSpec* spec) {
  spec->background = params.background;
  spec->priority =
      params.background && params.priority == 0 ? kBackgroundPriority : params.priority;
  const std::string* header = FindHeader(request.headers, kSessionHeader);
  const std::string& session =
      header != nullptr && !header->empty() ? *header : params.prompt_cache_key;
  if (!session.empty()) spec->session = HashBytes(session);
}

}  // namespace vallm::gateway
