#include "tokenizer_service/tokenizer_server.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_status.h"
#include "common/parallel.h"
#include "common/status_macros.h"
#include "common/usable_cores.h"
#include "tokenizer_service/call_status.h"
#include "tokenizer_service/convert.h"
#include "tokenizer_service/output/detokenizer.h"
#include "tokenizer_service/output/output_parser.h"
#include "tokenizer_service/parse_stream.h"

namespace vallm::tokenizer {
namespace {

// Requests up to this size take a few milliseconds at most.
constexpr size_t kSmallRequestBytes = 64 << 10;
// Threads that one large Encode with many texts may use.
constexpr int kMaxEncodeThreads = 8;
// Large requests that may wait for a thread: they are in memory already.
constexpr size_t kMaxWaitingRequests = 256;

}  // namespace

TokenizerServer::TokenizerServer(const ServedModel& model, ServiceMetrics& metrics)
    : model_(model),
      metrics_(metrics),
      encode_threads_(std::clamp(UsableCores() / 2, 1, kMaxEncodeThreads)),
      large_requests_(std::max(2, UsableCores() / 2), kMaxWaitingRequests,
                      [&metrics](size_t waiting) { metrics.OnQueue(waiting); }) {}

grpc::ServerUnaryReactor* TokenizerServer::Serve(grpc::CallbackServerContext* context,
                                                 const RequestLog& log, size_t request_bytes,
                                                 Handler handle) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto finish = [reactor, log](const absl::Status& status, int64_t token_count) {
    log.Write(status, token_count);
    reactor->Finish(ToGrpc(status));
  };
  const auto run = [context, finish, handle = std::move(handle)] {
    const auto wanted = [context] { return CheckWanted(*context); };
    int64_t token_count = 0;
    absl::Status status = wanted();
    if (status.ok()) status = handle(wanted, &token_count);
    finish(status, token_count);
  };
  if (request_bytes <= kSmallRequestBytes) {
    run();
  } else if (!large_requests_.Push(run)) {
    finish(absl::ResourceExhaustedError(
               absl::StrCat(kMaxWaitingRequests, " large requests wait already; try again later")),
           0);
  }
  return reactor;
}

absl::Status TokenizerServer::DoEncode(const v1::EncodeRequest& request, const Wanted& wanted,
                                       v1::EncodeResponse* response, int64_t* token_count) const {
  VALLM_ASSIGN_OR_RETURN(const EncodeOptions options, EncodeOptionsFromProto(request));
  using Ids = absl::StatusOr<std::vector<int32_t>>;
  const auto count = static_cast<size_t>(request.texts_size());
  std::vector<Ids> sequences(count, Ids(std::vector<int32_t>()));
  const auto encode = [&](size_t i) {
    const absl::Status still_wanted = wanted();
    sequences[i] = still_wanted.ok()
                       ? model_.tokenizer().Encode(request.texts(static_cast<int>(i)), options)
                       : still_wanted;
  };
  const bool large = request.ByteSizeLong() > kSmallRequestBytes;
  ParallelFor(count, large ? encode_threads_ : 1, encode);
  for (size_t i = 0; i < count; ++i) {
    const Ids& ids = sequences[i];
    VALLM_RETURN_IF_ERROR(wanted());
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
  const RequestLog log("Encode", TokenUse::kEncoded, *context, metrics_);
  return Serve(context, log, request->ByteSizeLong(),
               [=, this](const Wanted& wanted, int64_t* token_count) {
                 return DoEncode(*request, wanted, response, token_count);
               });
}

grpc::ServerUnaryReactor* TokenizerServer::Decode(grpc::CallbackServerContext* context,
                                                  const v1::DecodeRequest* request,
                                                  v1::DecodeResponse* response) {
  const RequestLog log("Decode", TokenUse::kDecoded, *context, metrics_);
  return Serve(
      context, log, request->ByteSizeLong(), [=, this](const Wanted&, int64_t* token_count) {
        const std::vector<int32_t> ids(request->token_ids().begin(), request->token_ids().end());
        response->set_text(
            tokenizer::Decode(model_.tokenizer(), ids, request->skip_special_tokens()));
        *token_count += request->token_ids_size();
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* TokenizerServer::GetTokenBytes(grpc::CallbackServerContext* context,
                                                         const v1::GetTokenBytesRequest* request,
                                                         v1::GetTokenBytesResponse* response) {
  const RequestLog log("GetTokenBytes", TokenUse::kNeither, *context, metrics_);
  return Serve(context, log, request->ByteSizeLong(),
               [=, this](const Wanted&, int64_t* token_count) {
                 for (const int32_t id : request->token_ids()) {
                   const std::string_view bytes = model_.tokenizer().TokenBytes(id);
                   response->add_token_bytes(bytes.data(), bytes.size());
                 }
                 *token_count += request->token_ids_size();
                 return absl::OkStatus();
               });
}

absl::Status TokenizerServer::DoRenderChat(const v1::RenderChatRequest& request,
                                           const Wanted& wanted, v1::RenderChatResponse* response,
                                           int64_t* token_count) const {
  VALLM_ASSIGN_OR_RETURN(const auto conversation, ConversationFromProto(request));
  VALLM_ASSIGN_OR_RETURN(ServedModel::Prompt prompt,
                         model_.RenderChat(conversation, absl::Now(), wanted));
  response->mutable_token_ids()->Assign(prompt.token_ids.begin(), prompt.token_ids.end());
  response->set_prompt_think_state(ThinkStateToProto(prompt.think_state));
  if (request.return_text()) response->set_text(std::move(prompt.text));
  *token_count += response->token_ids_size();
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* TokenizerServer::RenderChat(grpc::CallbackServerContext* context,
                                                      const v1::RenderChatRequest* request,
                                                      v1::RenderChatResponse* response) {
  const RequestLog log("RenderChat", TokenUse::kEncoded, *context, metrics_);
  return Serve(context, log, request->ByteSizeLong(),
               [=, this](const Wanted& wanted, int64_t* token_count) {
                 return DoRenderChat(*request, wanted, response, token_count);
               });
}

grpc::ServerUnaryReactor* TokenizerServer::CountTokens(grpc::CallbackServerContext* context,
                                                       const v1::CountTokensRequest* request,
                                                       v1::CountTokensResponse* response) {
  const RequestLog log("CountTokens", TokenUse::kEncoded, *context, metrics_);
  return Serve(context, log, request->ByteSizeLong(),
               [=, this](const Wanted& wanted, int64_t* token_count) -> absl::Status {
                 VALLM_ASSIGN_OR_RETURN(const auto conversation, ConversationFromProto(*request));
                 VALLM_ASSIGN_OR_RETURN(const ServedModel::Prompt prompt,
                                        model_.RenderChat(conversation, absl::Now(), wanted));
                 *token_count += static_cast<int64_t>(prompt.token_ids.size());
                 response->set_token_count(*token_count);
                 return absl::OkStatus();
               });
}

grpc::ServerBidiReactor<v1::ParseStreamRequest, v1::ParseEvents>* TokenizerServer::ParseStream(
    grpc::CallbackServerContext* context) {
  return ServeParseStream(model_.tokenizer(), metrics_, context);
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
      if (request.options().min_tokens() > 0) {
        return absl::InvalidArgumentError("options.min_tokens: text has no tokens to count");
      }
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
  const RequestLog log("Parse", TokenUse::kDecoded, *context, metrics_);
  return Serve(context, log, request->ByteSizeLong(),
               [=, this](const Wanted&, int64_t* token_count) {
                 return DoParse(*request, response, token_count);
               });
}

grpc::ServerUnaryReactor* TokenizerServer::GetInfo(grpc::CallbackServerContext* context,
                                                   const v1::GetInfoRequest*,
                                                   v1::TokenizerInfo* response) {
  const RequestLog log("GetInfo", TokenUse::kNeither, *context, metrics_);
  return Serve(context, log, /*request_bytes=*/0, [=, this](const Wanted&, int64_t*) {
    response->set_model_path(model_.model_dir());
    response->set_vocab_size(model_.tokenizer().vocab_size());
    response->set_has_chat_template(model_.has_chat_template());
    for (std::string& name : ReasoningParserNames()) response->add_reasoning_parsers(name);
    for (std::string& name : ToolParserNames()) response->add_tool_parsers(name);
    response->set_fingerprint(model_.fingerprint());
    for (int32_t id = 0; id < model_.tokenizer().vocab_size(); ++id) {
      if (model_.tokenizer().IsSpecial(id)) response->add_special_token_ids(id);
    }
    return absl::OkStatus();
  });
}

}  // namespace vallm::tokenizer
