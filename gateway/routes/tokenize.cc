#include "gateway/routes/tokenize.h"

#include <utility>

#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/chat_request.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/json_object.h"
#include "gateway/routes/chat_prompt.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

// {"prompt": text} or the body of a chat request; {"return_token_strs": true} adds the pieces.
absl::StatusOr<std::string> TokenizeBody(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(request.body));
  JsonObject fields(json, "");
  VALLM_ASSIGN_OR_RETURN(const auto model_name, fields.String("model"));
  VALLM_ASSIGN_OR_RETURN(const ServedModel model, context.GetServedModel(model_name.value_or("")));
  VALLM_ASSIGN_OR_RETURN(const auto prompt, fields.String("prompt"));
  VALLM_ASSIGN_OR_RETURN(const auto with_strings, fields.Bool("return_token_strs"));
  std::vector<int32_t> ids;
  if (prompt.has_value()) {
    v1::EncodeRequest encode;
    encode.add_texts(*prompt);
    VALLM_ASSIGN_OR_RETURN(const v1::EncodeResponse encoded,
                           context.tokenizer.Encode(encode, request.request_id));
    const auto& sequence = encoded.sequences(0).token_ids();
    ids.assign(sequence.begin(), sequence.end());
  } else if (fields.Find("messages") != nullptr) {
    VALLM_ASSIGN_OR_RETURN(const ChatRequest chat,
                           ParseChatRequest(request.body, {.auto_tool_choice = true}));
    VALLM_ASSIGN_OR_RETURN(const v1::RenderChatResponse rendered,
                           RenderChatPrompt(context, chat, request.request_id));
    ids.assign(rendered.token_ids().begin(), rendered.token_ids().end());
  } else {
    return InvalidParam("prompt", "either 'prompt' or 'messages' is required");
  }
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
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<std::string> DetokenizeBody(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(request.body));
  JsonObject fields(json, "");
  VALLM_ASSIGN_OR_RETURN(const auto model_name, fields.String("model"));
  VALLM_RETURN_IF_ERROR(context.GetServedModel(model_name.value_or("")).status());
  if (fields.Find("tokens") == nullptr) return InvalidParam("tokens", "'tokens' is missing");
  VALLM_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, fields.TokenIds("tokens"));
  v1::DecodeRequest decode;
  decode.mutable_token_ids()->Add(ids.begin(), ids.end());
  VALLM_ASSIGN_OR_RETURN(const v1::DecodeResponse decoded,
                         context.tokenizer.Decode(decode, request.request_id));
  return Json{{"prompt", decoded.text()}}.dump();
}

HttpResponse Respond(absl::StatusOr<std::string> body) {
  if (!body.ok()) return ErrorResponse(body.status());
  HttpResponse response;
  response.body = *std::move(body);
  return response;
}

}  // namespace

HttpResponse Tokenize(GatewayContext& context, const HttpRequest& request) {
  return Respond(TokenizeBody(context, request));
}

HttpResponse Detokenize(GatewayContext& context, const HttpRequest& request) {
  return Respond(DetokenizeBody(context, request));
}

}  // namespace vallm::gateway
