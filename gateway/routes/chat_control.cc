#include "gateway/routes/chat_control.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/json_object.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kEndThinking[] = "end_thinking";

absl::StatusOr<std::string> Control(GatewayContext& context, const HttpRequest& request) {
  absl::string_view id = request.path;
  if (!absl::ConsumePrefix(&id, "/v1/chat/completions/") || !absl::ConsumeSuffix(&id, "/control") ||
      id.empty() || absl::StrContains(id, "/")) {
    return absl::NotFoundError(absl::StrCat("there is no ", request.path));
  }
  VALLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(request.body));
  JsonObject body(json, "");
  VALLM_ASSIGN_OR_RETURN(const auto action, body.String("action"));
  if (action != kEndThinking) {
    return InvalidParam("action", absl::StrCat("'action' must be \"", kEndThinking, "\""));
  }
  const absl::Status status = context.live_answers.EndThinking(std::string(id));
  if (absl::IsFailedPrecondition(status)) return WithErrorCode(status, "not_thinking");
  VALLM_RETURN_IF_ERROR(status);
  return Json{{"id", ToStd(id)}, {"object", "chat.completion.control"}, {"action", *action}}.dump();
}

}  // namespace

HttpResponse ChatControl(GatewayContext& context, const HttpRequest& request) {
  absl::StatusOr<std::string> body = Control(context, request);
  if (!body.ok()) return ErrorResponse(body.status());
  HttpResponse response;
  response.body = *std::move(body);
  return response;
}

}  // namespace vallm::gateway
