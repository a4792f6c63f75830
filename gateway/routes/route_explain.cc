#include "gateway/routes/route_explain.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "gateway/openai/chat_request.h"
#include "gateway/openai/errors.h"
#include "gateway/routes/chat_job.h"
#include "gateway/routes/request_class.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

Json Describe(const SlotBoard::Verdict& verdict, const InstanceSnapshot& instance) {
  Json json = {{"id", instance.name},
               {"address", instance.address},
               {"state", instance.state},
               {"admin_state", instance.admin_state},
               {"fitness", SlotBoard::NameOf(verdict.fitness)},
               {"load", verdict.load},
               {"max", verdict.limit},
               {"matched_tokens", nullptr},
               {"score", nullptr}};
  if (verdict.score.has_value()) {
    json["matched_tokens"] = verdict.score->matched_tokens;
    json["score"] = verdict.score->score;
  }
  return json;
}

Json Describe(const SlotBoard::Explanation& explanation,
              const std::vector<InstanceSnapshot>& instances) {
  Json json = {{"instance", nullptr},
               {"reason", nullptr},
               {"matched_tokens", nullptr},
               {"queue_position", explanation.position},
               {"expected_wait_seconds", nullptr},
               {"instances", Json::array()}};
  if (explanation.choice.has_value()) {
    json["instance"] = InstancePool::NameOf(explanation.choice->instance);
    json["reason"] = NameOf(explanation.choice->reason);
    json["matched_tokens"] = explanation.choice->matched_tokens;
  }
  if (explanation.wait.has_value()) {
    json["expected_wait_seconds"] = absl::ToDoubleSeconds(*explanation.wait);
  }
  for (const SlotBoard::Verdict& verdict : explanation.verdicts) {
    const std::string name = InstancePool::NameOf(verdict.instance);
    for (const InstanceSnapshot& instance : instances) {
      if (instance.name == name) json["instances"].push_back(Describe(verdict, instance));
    }
  }
  return json;
}

// The body that a query stands for: a chat of one message, `prompt`, and what else decides.
absl::StatusOr<std::string> BodyOf(const HttpQuery& query) {
  Json body = Json::object();
  for (const auto& [name, value] : query) {
    if (name == "prompt") {
      body["messages"] = Json::array({{{"role", "user"}, {"content", value}}});
    } else if (name == "model" || name == "cache_salt" || name == "prompt_cache_key") {
      body[name] = value;
    } else if (int32_t priority = 0; name == "priority" && absl::SimpleAtoi(value, &priority)) {
      body[name] = priority;
    } else if (name == "priority") {
      return InvalidParam(name, "'priority' must be an integer");
    } else {
      return UnsupportedParam(
          name, absl::StrCat("'", name,
                             "' is not supported in a query; there are prompt, model, cache_salt, "
                             "prompt_cache_key and priority, and POST takes a whole chat"));
    }
  }
  if (!body.contains("messages")) return InvalidParam("prompt", "'prompt' is missing");
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<Json> Explain(GatewayContext& context, const HttpRequest& request) {
  std::string body = request.body;
  if (request.method == "GET") {
    VALLM_ASSIGN_OR_RETURN(body, BodyOf(request.query));
  }
  VALLM_ASSIGN_OR_RETURN(ChatRequest chat, ParseChatRequest(body, ChatRulesOf(context.options)));
  VALLM_RETURN_IF_ERROR(SetClass(context, request, &chat));
  VALLM_ASSIGN_OR_RETURN(GenerationJob job,
                         PrepareChatJob(context, std::move(chat), request.request_id));
  FillPlacement(request, job.params, &job.spec);
  const std::vector<int32_t>& prompt = job.spec.choices.front().prompt_token_ids;
  const SlotRequest slot = {.priority = job.spec.priority,
                            .background = job.spec.background,
                            .session = job.spec.session,
                            .prompt = context.pool.BlocksOf(prompt, job.params.cache_salt)};
  Json json = {{"object", "route.explanation"},
               {"policy", NameOf(context.pool.policy())},
               {"class", job.params.background ? "background" : "interactive"},
               {"task", job.params.task.empty() ? Json(nullptr) : Json(job.params.task)},
               {"session", job.spec.session.has_value()},
               {"priority", job.spec.priority},
               {"prompt_tokens", prompt.size()}};
  json.update(Describe(context.pool.Explain(slot), context.pool.Snapshot()));
  return json;
}

}  // namespace

HttpResponse ExplainRoute(GatewayContext& context, const HttpRequest& request) {
  const absl::StatusOr<Json> explanation = Explain(context, request);
  if (!explanation.ok()) return ErrorResponse(explanation.status());
  HttpResponse response;
  response.body = explanation->dump(-1, ' ', false, Json::error_handler_t::replace);
  return response;
}

}  // namespace vallm::gateway
