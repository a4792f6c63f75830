#include "gateway/routes/tokenize.h"

#include <string>
#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "gateway/openai/chat_request.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/json_object.h"
#include "gateway/routes/chat_job.h"
#include "gateway/routes/chat_prompt.h"
#include "gateway/routes/ignored_params.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

HttpResponse Respond(std::string body, const std::vector<std::string>& ignored) {
  HttpResponse response;
  response.body = std::move(body);
  AddIgnoredHeader(ignored, &response.headers);
  return response;
}

// The tokens of {"prompt": text} or of the body of a chat.
absl::StatusOr<std::vector<int32_t>> TokensOf(GatewayContext& context, const HttpRequest& request,
                                              JsonObject& fields,
                                              std::vector<std::string>* ignored) {
  VALLM_ASSIGN_OR_RETURN(const auto prompt, fields.String("prompt"));
  if (prompt.has_value()) {
    v1::EncodeRequest encode;
    encode.add_texts(*prompt);
    VALLM_ASSIGN_OR_RETURN(const v1::EncodeResponse encoded,
                           context.tokenizer.Encode(encode, request.request_id));
    const auto& ids = encoded.sequences(0).token_ids();
    // Qwen's tokenizer adds none.
    VALLM_RETURN_IF_ERROR(fields.Bool("add_special_tokens").status());
    *ignored = fields.Unread();
    return std::vector<int32_t>(ids.begin(), ids.end());
  }
  if (fields.Find("messages") == nullptr) {
    return InvalidParam("prompt", "either 'prompt' or 'messages' is required");
  }
  ChatRequestRules rules = ChatRulesOf(context.options);
  rules.auto_tool_choice = true;  // nothing is called
  VALLM_ASSIGN_OR_RETURN(ChatRequest chat, ParseChatRequest(request.body, rules));
  for (std::string& name : chat.params.ignored) {
    if (!fields.IsRead(name)) ignored->push_back(std::move(name));
  }
  VALLM_ASSIGN_OR_RETURN(const v1::RenderChatResponse rendered,
                         RenderChatPrompt(context, chat, request.request_id));
  return std::vector<int32_t>(rendered.token_ids().begin(), rendered.token_ids().end());
}

// {"return_token_strs": true} adds the pieces.
absl::StatusOr<HttpResponse> TokenizeText(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(request.body));
  JsonObject fields(json, "");
  VALLM_ASSIGN_OR_RETURN(const auto model_name, fields.String("model"));
  VALLM_ASSIGN_OR_RETURN(const ServedModel model, context.GetServedModel(model_name.value_or("")));
  VALLM_ASSIGN_OR_RETURN(const auto with_strings, fields.Bool("return_token_strs"));
  std::vector<std::string> ignored;
  VALLM_ASSIGN_OR_RETURN(const std::vector<int32_t> ids,
                         TokensOf(context, request, fields, &ignored));
  VALLM_RETURN_IF_ERROR(CheckIgnored(context.options, request, ignored));
  Json body = {{"count", ids.size()}, {"max_model_len", model.max_model_len}, {"tokens", ids}};
  body["token_strs"] = nullptr;
  if (with_strings.value_or(false)) {
    v1::GetTokenBytesRequest lookup;
    lookup.mutable_token_ids()->Add(ids.begin(), ids.end());
    VALLM_ASSIGN_OR_RETURN(const v1::GetTokenBytesResponse found,
                           context.tokenizer.GetTokenBytes(lookup, request.request_id));
    body["token_strs"] = Json::array();
    for (const std::string& bytes : found.token_bytes()) body["token_strs"].push_back(bytes);
  }
  // A piece of a character is not UTF-8 by itself: U+FFFD stands for it.
  return Respond(body.dump(-1, ' ', false, Json::error_handler_t::replace), ignored);
}

absl::StatusOr<HttpResponse> DetokenizeIds(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(request.body));
  JsonObject fields(json, "");
  VALLM_ASSIGN_OR_RETURN(const auto model_name, fields.String("model"));
  VALLM_RETURN_IF_ERROR(context.GetServedModel(model_name.value_or("")).status());
  if (fields.Find("tokens") == nullptr) return InvalidParam("tokens", "'tokens' is missing");
  VALLM_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, fields.TokenIds("tokens"));
  VALLM_ASSIGN_OR_RETURN(const auto skip_special, fields.Bool("skip_special_tokens"));
  const std::vector<std::string> ignored = fields.Unread();
  VALLM_RETURN_IF_ERROR(CheckIgnored(context.options, request, ignored));
  v1::DecodeRequest decode;
  decode.mutable_token_ids()->Add(ids.begin(), ids.end());
  decode.set_skip_special_tokens(skip_special.value_or(false));
  VALLM_ASSIGN_OR_RETURN(const v1::DecodeResponse decoded,
                         context.tokenizer.Decode(decode, request.request_id));
  return Respond(Json{{"prompt", decoded.text()}}.dump(), ignored);
}

// What clients need that render and count themselves, under the names of tokenizer_config.json.
absl::StatusOr<HttpResponse> DescribeModel(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(const ServedModel model, context.GetServedModel());
  VALLM_ASSIGN_OR_RETURN(const v1::ModelFiles config,
                         context.tokenizer.GetConfig(request.request_id));
  Json body = Json::object();
  for (const v1::NamedToken& token : config.special_tokens()) body[token.name()] = token.text();
  body["chat_template"] = nullptr;
  if (config.has_chat_template()) body["chat_template"] = config.chat_template();
  body["model_max_length"] = model.max_model_len;
  return Respond(body.dump(), {});
}

}  // namespace

HttpResponse DescribeTokenizer(GatewayContext& context, const HttpRequest& request) {
  auto response = DescribeModel(context, request);
  return response.ok() ? *std::move(response) : ErrorResponse(response.status());
}

HttpResponse Tokenize(GatewayContext& context, const HttpRequest& request) {
  auto response = TokenizeText(context, request);
  return response.ok() ? *std::move(response) : ErrorResponse(response.status());
}

HttpResponse Detokenize(GatewayContext& context, const HttpRequest& request) {
  auto response = DetokenizeIds(context, request);
  return response.ok() ? *std::move(response) : ErrorResponse(response.status());
}

}  // namespace vallm::gateway
