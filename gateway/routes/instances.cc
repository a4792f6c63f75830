#include "gateway/routes/instances.h"

#include <string>
#include <utility>

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

Json Seconds(const std::optional<absl::Time>& time) {
  return time.has_value() ? Json(absl::ToDoubleSeconds(*time - absl::UnixEpoch())) : Json(nullptr);
}

// Whether it answers: not whether it gets requests, which is `serving`.
const char* HealthOf(const InstanceSnapshot& instance) {
  if (instance.silent) return "silent";
  return instance.state == "unreachable" ? "unreachable" : "ok";
}

Json Describe(const InstanceSnapshot& instance) {
  Json sources = Json::array();
  for (const InstanceSource source : instance.sources) sources.push_back(NameOf(source));
  Json json = {{"id", instance.name},
               {"object", "instance"},
               {"address", instance.address},
               {"sources", std::move(sources)},
               {"serving", instance.serving},
               {"state", instance.state},
               {"admin_state", instance.admin_state},
               {"health", HealthOf(instance)},
               {"breaker", NameOf(instance.breaker)},
               {"breaker_openings", instance.breaker_openings},
               {"restarts", instance.restarts},
               {"cache_losses", instance.cache_losses},
               {"reached_since", Seconds(instance.reached_since)},
               {"last_progress", Seconds(instance.last_progress)},
               {"in_flight", instance.in_flight},
               {"max", instance.limit},
               {"recorded_prefix_blocks", instance.recorded_blocks}};
  const v1::Load& load = instance.load;
  json["running"] = load.running_count();
  json["waiting"] = load.waiting_count();
  json["free_kv_blocks"] = load.free_kv_block_count();
  json["cached_kv_blocks"] = load.cached_kv_block_count();
  json["total_kv_blocks"] = load.total_kv_block_count();
  json["tokens_per_second"] = load.tokens_per_second();
  json["generated_tokens"] = load.generated_token_count();
  json["prompt_tokens"] = load.prompt_token_count();
  json["prefix_queried_tokens"] = load.prefix_queried_token_count();
  json["prefix_hit_tokens"] = load.prefix_hit_token_count();
  json["preemptions"] = load.preemption_count();
  json["loaded_weight_bytes"] = load.loaded_weight_bytes();
  json["total_weight_bytes"] = load.total_weight_bytes();
  const bool known = instance.info.has_value();
  const v1::ModelInfo info = instance.info.value_or(v1::ModelInfo());
  json["fingerprint"] = known ? Json(info.fingerprint()) : Json(nullptr);
  json["model_path"] = known ? Json(info.model_path()) : Json(nullptr);
  json["device"] = known ? Json(info.device()) : Json(nullptr);
  json["tensor_parallel_size"] = known ? Json(info.tensor_parallel_size()) : Json(nullptr);
  json["max_model_len"] = known ? Json(info.max_model_len()) : Json(nullptr);
  return json;
}

HttpResponse JsonResponse(const Json& json, int status = 200) {
  HttpResponse response;
  response.status = status;
  // An address or a path need not be UTF-8.
  response.body = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return response;
}

HttpResponse Respond(const absl::StatusOr<InstanceSnapshot>& instance, int status = 200) {
  if (!instance.ok()) return ErrorResponse(instance.status());
  return JsonResponse(Describe(*instance), status);
}

// What follows /instances/ in the path.
std::string_view IdOf(const HttpRequest& request) {
  return std::string_view(request.path).substr(std::string_view("/instances/").size());
}

absl::StatusOr<InstanceSnapshot> Add(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(request.body));
  JsonObject body(json, "");
  VALLM_ASSIGN_OR_RETURN(const auto address, body.String("address"));
  if (!address.has_value()) return InvalidParam("address", "'address' is missing");
  absl::StatusOr<InstanceSnapshot> added = context.pool.Add(*address);
  if (absl::IsInvalidArgument(added.status())) {
    return InvalidParam("address", absl::StrCat("'address': ", added.status().message()));
  }
  return added;
}

}  // namespace

HttpResponse ListInstances(GatewayContext& context, const HttpRequest&) {
  Json list = {{"object", "list"}, {"data", Json::array()}};
  for (const InstanceSnapshot& instance : context.pool.Snapshot()) {
    list["data"].push_back(Describe(instance));
  }
  list["routing_policy"] = NameOf(context.pool.policy());
  list["queue"] = {{"waiting", context.pool.waiting_count()},
                   {"background_waiting", context.pool.background_waiting_count()},
                   {"max", context.options.instances.queue.max_queue_size}};
  return JsonResponse(list);
}

HttpResponse AddInstance(GatewayContext& context, const HttpRequest& request) {
  return Respond(Add(context, request), 201);
}

HttpResponse GetInstance(GatewayContext& context, const HttpRequest& request) {
  const std::string_view id = IdOf(request);
  for (const InstanceSnapshot& instance : context.pool.Snapshot()) {
    if (instance.name == id) return Respond(instance);
  }
  return ErrorResponse(
      absl::NotFoundError(absl::StrCat("there is no instance \"", ToAbsl(id), "\"")));
}

HttpResponse RemoveInstance(GatewayContext& context, const HttpRequest& request) {
  return Respond(context.pool.Remove(IdOf(request)));
}

HttpResponse ControlInstance(GatewayContext& context, const HttpRequest& request) {
  absl::string_view id = ToAbsl(IdOf(request));
  if (absl::ConsumeSuffix(&id, "/drain")) return Respond(context.pool.Drain(ToStd(id)));
  if (absl::ConsumeSuffix(&id, "/enable")) return Respond(context.pool.Enable(ToStd(id)));
  return HttpErrorResponse(404, absl::StrCat("there is no ", request.path,
                                             "; POST to /instances/{id}/drain or /enable"));
}

}  // namespace vallm::gateway
