#include "tools/deploy/gateway_admin.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/http/http_client.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::json;

std::string ErrorMessage(const HttpReply& reply) {
  const auto json = Json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("error") && json["error"].is_object()) {
    return json["error"].value("message", reply.body);
  }
  return absl::StrCat("HTTP status ", reply.status);
}

}  // namespace

absl::StatusOr<std::string> GatewayAdmin::Send(const char* method, const std::string& path) const {
  HttpRequest request;
  request.method = method;
  request.origin = origin_;
  request.path = path;
  request.bearer_token = key_;
  if (request.method == "POST") request.body = "{}";
  request.read_timeout = absl::Seconds(5);
  VALLM_ASSIGN_OR_RETURN(HttpReply reply, SendHttp(request));
  if (reply.status / 100 == 2) return std::move(reply.body);
  const std::string message = absl::StrCat("gateway, ", path, ": ", ErrorMessage(reply));
  if (reply.status == 404) return absl::NotFoundError(message);
  if (reply.status == 401 || reply.status == 403) return absl::PermissionDeniedError(message);
  return absl::FailedPreconditionError(message);
}

absl::StatusOr<std::vector<GatewayInstance>> GatewayAdmin::Instances() const {
  VALLM_ASSIGN_OR_RETURN(const std::string body, Send("GET", "/instances"));
  const auto json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  std::vector<GatewayInstance> instances;
  try {
    for (const Json& entry : json.at("data")) {
      instances.push_back({.id = entry.at("id"),
                           .address = entry.at("address"),
                           .serving = entry.at("serving"),
                           .state = entry.at("state"),
                           .admin_state = entry.at("admin_state"),
                           .in_flight = entry.at("in_flight"),
                           .max = entry.at("max"),
                           .running = entry.at("running"),
                           .waiting = entry.at("waiting"),
                           .free_kv_blocks = entry.at("free_kv_blocks"),
                           .total_kv_blocks = entry.at("total_kv_blocks"),
                           .tokens_per_second = entry.at("tokens_per_second")});
    }
  } catch (const Json::exception&) {
    return absl::FailedPreconditionError(
        absl::StrCat(origin_, "/instances is not what a gateway of this version says"));
  }
  return instances;
}

absl::StatusOr<GatewayInstance> GatewayAdmin::InstanceAt(const std::string& address) const {
  VALLM_ASSIGN_OR_RETURN(const auto instances, Instances());
  for (const GatewayInstance& instance : instances) {
    if (instance.address == address) return instance;
  }
  return absl::NotFoundError(absl::StrCat("the gateway has no instance at ", address));
}

absl::Status GatewayAdmin::Drain(const std::string& id) const {
  return Send("POST", absl::StrCat("/instances/", id, "/drain")).status();
}

absl::Status GatewayAdmin::Enable(const std::string& id) const {
  return Send("POST", absl::StrCat("/instances/", id, "/enable")).status();
}

}  // namespace vallm::tools
