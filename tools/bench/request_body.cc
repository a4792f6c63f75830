#include "tools/bench/request_body.h"

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
void Add(const char* name, const std::optional<T>& value, Json* body) {
  if (value.has_value()) (*body)[name] = *value;
}

}  // namespace

absl::Status CheckRequestOptions(const RequestOptions& options) {
  if (options.extra_body.empty()) return absl::OkStatus();
  const Json extra = Json::parse(options.extra_body, nullptr, /*allow_exceptions=*/false);
  if (!extra.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--extra-body '", options.extra_body, "' is not a JSON object"));
  }
  return absl::OkStatus();
}

std::string RequestBody(const RequestOptions& options, const BenchPrompt& prompt) {
  Json body = {{"model", options.model}};
  if (options.chat) {
    body["messages"] = {
        {{"role", "user"}, {"content", {{{"type", "text"}, {"text", prompt.text}}}}}};
    body["max_completion_tokens"] = prompt.output_tokens;
  } else {
    body["prompt"] = prompt.text;
    body["max_tokens"] = prompt.output_tokens;
  }
  Add("temperature", options.temperature, &body);
  Add("top_p", options.top_p, &body);
  Add("top_k", options.top_k, &body);
  Add("min_p", options.min_p, &body);
  Add("repetition_penalty", options.repetition_penalty, &body);
  Add("presence_penalty", options.presence_penalty, &body);
  Add("frequency_penalty", options.frequency_penalty, &body);
  if (options.logprobs.has_value()) {
    if (options.chat) {
      body["logprobs"] = true;
      body["top_logprobs"] = *options.logprobs;
    } else {
      body["logprobs"] = *options.logprobs;
    }
  }
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  if (options.ignore_eos) body["ignore_eos"] = true;
  if (!options.extra_body.empty()) body.update(Json::parse(options.extra_body));
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vallm::tools
