#include "gateway/routes/models.h"

#include "gateway/openai/errors.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

Json Describe(const GatewayContext& context, const ServedModel& model, const std::string& name) {
  return {{"id", name},
          {"object", "model"},
          {"created", absl::ToUnixSeconds(context.start_time)},
          {"owned_by", "vallm"},
          {"root", model.names.front()},
          {"parent", nullptr},
          {"max_model_len", model.max_model_len}};
}

}  // namespace

HttpResponse ListModels(GatewayContext& context, const HttpRequest&) {
  const absl::StatusOr<ServedModel> model = context.GetServedModel();
  if (!model.ok()) return ErrorResponse(model.status());
  Json list = {{"object", "list"}, {"data", Json::array()}};
  for (const std::string& name : model->names) {
    list["data"].push_back(Describe(context, *model, name));
  }
  HttpResponse response;
  response.body = list.dump();
  return response;
}

HttpResponse GetModel(GatewayContext& context, const HttpRequest& request) {
  const std::string name = request.path.substr(std::string_view("/v1/models/").size());
  const absl::StatusOr<ServedModel> model = context.GetServedModel(name);
  if (!model.ok()) return ErrorResponse(model.status());
  HttpResponse response;
  response.body = Describe(context, *model, name.empty() ? model->names.front() : name).dump();
  return response;
}

}  // namespace vallm::gateway
