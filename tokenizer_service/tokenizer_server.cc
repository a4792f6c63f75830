#include "tokenizer_service/tokenizer_server.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "tokenizer_service/convert.h"
#include "tokenizer_service/output/detokenizer.h"
#include "tokenizer_service/output/output_parser.h"
#include "tokenizer_service/parse_stream.h"
#include "tokenizer_service/request_log.h"

namespace vallm::tokenizer {
namespace {

grpc::ServerUnaryReactor* Reply(grpc::CallbackServerContext* context, const RequestLog& log,
                                const absl::Status& status, int64_t token_count) {
  log.Write(status, token_count);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

}  // namespace

absl::Status TokenizerServer::DoEncode(const v1::EncodeRequest& request,
                                       v1::EncodeResponse* response, int64_t* token_count) const {
  VALLM_ASSIGN_OR_RETURN(const EncodeOptions options, EncodeOptionsFromProto(request));
  for (int i = 0; i < request.texts_size(); ++i) {
    const auto ids = model_.tokenizer().Encode(request.texts(i), options);
    if (!ids.ok()) {
      return absl::Status(ids.status().code(),
                          absl::StrCat("texts[", i, "]: ", ids.status().message()));
    }
    SetTokenIds(*ids, response->add_sequences());
    *token_count += static_cast<int64_t>(ids->size());
  }
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* TokenizerServer::Encode(grpc::CallbackServerContext* context,
                                                  const v1::EncodeRequest* request,
                                                  v1::EncodeResponse* response) {
  const RequestLog log("Encode", *context);
  int64_t token_count = 0;
  const absl::Status status = DoEncode(*request, response, &token_count);
  return Reply(context, log, status, token_count);
}

grpc::ServerUnaryReactor* TokenizerServer::Decode(grpc::CallbackServerContext* context,
                                                  const v1::DecodeRequest* request,
                                                  v1::DecodeResponse* response) {
  const RequestLog log("Decode", *context);
  const std::vector<int32_t> ids(request->token_ids().begin(), request->token_ids().end());
  response->set_text(tokenizer::Decode(model_.tokenizer(), ids, request->skip_special_tokens()));
  return Reply(context, log, absl::OkStatus(), request->token_ids_size());
}

grpc::ServerUnaryReactor* TokenizerServer::GetTokenBytes(grpc::CallbackServerContext* context,
                                                         const v1::GetTokenBytesRequest* request,
                                                         v1::GetTokenBytesResponse* response) {
  const RequestLog log("GetTokenBytes", *context);
  for (const int32_t id : request->token_ids()) {
    const std::string_view bytes = model_.tokenizer().TokenBytes(id);
    response->add_token_bytes(bytes.data(), bytes.size());
  }
  return Reply(context, log, absl::OkStatus(), request->token_ids_size());
}

absl::Status TokenizerServer::DoRenderChat(const v1::RenderChatRequest& request,
                                           v1::RenderChatResponse* response,
                                           int64_t* token_count) const {
  VALLM_ASSIGN_OR_RETURN(const auto conversation, ConversationFromProto(request));
  VALLM_ASSIGN_OR_RETURN(ServedModel::Prompt prompt, model_.RenderChat(conversation, absl::Now()));
  response->mutable_token_ids()->Assign(prompt.token_ids.begin(), prompt.token_ids.end());
  response->set_prompt_think_state(ThinkStateToProto(prompt.think_state));
  if (request.return_text()) response->set_text(std::move(prompt.text));
  *token_count += response->token_ids_size();
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* TokenizerServer::RenderChat(grpc::CallbackServerContext* context,
                                                      const v1::RenderChatRequest* request,
                                                      v1::RenderChatResponse* response) {
  const RequestLog log("RenderChat", *context);
  int64_t token_count = 0;
  const absl::Status status = DoRenderChat(*request, response, &token_count);
  return Reply(context, log, status, token_count);
}

grpc::ServerBidiReactor<v1::ParseStreamRequest, v1::ParseEvents>* TokenizerServer::ParseStream(
    grpc::CallbackServerContext* context) {
  return ServeParseStream(model_.tokenizer(), context);
}

absl::Status TokenizerServer::DoParse(const v1::ParseRequest& request, v1::ParseResponse* response,
                                      int64_t* token_count) const {
  VALLM_ASSIGN_OR_RETURN(OutputOptions options, OutputOptionsFromProto(request.options()));
  VALLM_RETURN_IF_ERROR(CheckFinishReason(request.engine_finish_reason(), "engine_finish_reason"));
  VALLM_ASSIGN_OR_RETURN(const auto parser,
                         OutputParser::Create(&model_.tokenizer(), std::move(options)));
  std::vector<Event> events;
  switch (request.output_case()) {
    case v1::ParseRequest::kTokens:
      parser->FeedTokens(TokenIdsOf(request.tokens()), &events);
      *token_count += request.tokens().token_ids_size();
      break;
    case v1::ParseRequest::kText:
      parser->FeedText(request.text(), &events);
      break;
    case v1::ParseRequest::OUTPUT_NOT_SET:
      return absl::InvalidArgumentError("output: one of tokens and text is needed");
  }
  parser->Finish(request.engine_finish_reason(), &events);
  SetParsedOutput(events, parser->reasoning_token_count(), response);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* TokenizerServer::Parse(grpc::CallbackServerContext* context,
                                                 const v1::ParseRequest* request,
                                                 v1::ParseResponse* response) {
  const RequestLog log("Parse", *context);
  int64_t token_count = 0;
  const absl::Status status = DoParse(*request, response, &token_count);
  return Reply(context, log, status, token_count);
}

grpc::ServerUnaryReactor* TokenizerServer::GetInfo(grpc::CallbackServerContext* context,
                                                   const v1::GetInfoRequest*,
                                                   v1::TokenizerInfo* response) {
  const RequestLog log("GetInfo", *context);
  response->set_model_path(model_.model_dir());
  response->set_vocab_size(model_.tokenizer().vocab_size());
  response->set_has_chat_template(model_.has_chat_template());
  for (std::string& name : ReasoningParserNames()) response->add_reasoning_parsers(name);
  for (std::string& name : ToolParserNames()) response->add_tool_parsers(name);
  response->set_fingerprint(model_.fingerprint());
  return Reply(context, log, absl::OkStatus(), 0);
}

}  // namespace vallm::tokenizer
