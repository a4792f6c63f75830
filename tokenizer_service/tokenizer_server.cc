#include "tokenizer_service/tokenizer_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/grpc_status.h"
#include "common/usable_cores.h"
#include "tokenizer_service/call_status.h"
#include "tokenizer_service/convert.h"
#include "tokenizer_service/parse_stream.h"

namespace vallm::tokenizer {
namespace {

using Wanted = TokenizerCalls::Wanted;

// Threads that one large Encode with many texts may use.
constexpr int kMaxEncodeThreads = 8;
// Large requests that may wait for a thread: they are in memory already.
constexpr size_t kMaxWaitingRequests = 256;

int64_t NoTokens() { return 0; }

}  // namespace

TokenizerServer::TokenizerServer(const ServedModel& model, ModelFiles files,
                                 ServiceMetrics& metrics)
    : model_(model),
      metrics_(metrics),
      calls_(model, std::clamp(UsableCores() / 2, 1, kMaxEncodeThreads)),
      info_(calls_.GetInfo()),
      large_requests_(std::max(2, UsableCores() / 2), kMaxWaitingRequests,
                      [&metrics](size_t waiting) { metrics.OnQueue(waiting); }) {
  ModelFilesToProto(std::move(files), &files_);
}

grpc::ServerUnaryReactor* TokenizerServer::Serve(grpc::CallbackServerContext* context,
                                                 const RequestLog& log, size_t request_bytes,
                                                 Handler handle, TokenCount token_count) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto finish = [reactor, log, token_count](const absl::Status& status) {
    log.Write(status, status.ok() ? token_count() : 0);
    reactor->Finish(ToGrpc(status));
  };
  const auto run = [context, finish, handle = std::move(handle)] {
    const auto wanted = [context] { return CheckWanted(*context); };
    absl::Status status = wanted();
    if (status.ok()) status = handle(wanted);
    finish(status);
  };
  if (request_bytes <= TokenizerCalls::kSmallRequestBytes) {
    run();
  } else if (!large_requests_.Push(run)) {
    finish(absl::ResourceExhaustedError(
        absl::StrCat(kMaxWaitingRequests, " large requests wait already; try again later")));
  }
  return reactor;
}

grpc::ServerUnaryReactor* TokenizerServer::Encode(grpc::CallbackServerContext* context,
                                                  const v1::EncodeRequest* request,
                                                  v1::EncodeResponse* response) {
  const RequestLog log("Encode", TokenUse::kEncoded, *context, metrics_);
  return Serve(
      context, log, request->ByteSizeLong(),
      [=, this](const Wanted& wanted) { return calls_.Encode(*request, wanted, response); },
      [response] {
        int64_t count = 0;
        for (const v1::TokenSequence& sequence : response->sequences()) {
          count += sequence.token_ids_size();
        }
        return count;
      });
}

grpc::ServerUnaryReactor* TokenizerServer::Decode(grpc::CallbackServerContext* context,
                                                  const v1::DecodeRequest* request,
                                                  v1::DecodeResponse* response) {
  const RequestLog log("Decode", TokenUse::kDecoded, *context, metrics_);
  return Serve(
      context, log, request->ByteSizeLong(),
      [=, this](const Wanted&) { return calls_.Decode(*request, response); },
      [request] { return int64_t{request->token_ids_size()}; });
}

grpc::ServerUnaryReactor* TokenizerServer::GetTokenBytes(grpc::CallbackServerContext* context,
                                                         const v1::GetTokenBytesRequest* request,
                                                         v1::GetTokenBytesResponse* response) {
  const RequestLog log("GetTokenBytes", TokenUse::kNeither, *context, metrics_);
  return Serve(
      context, log, request->ByteSizeLong(),
      [=, this](const Wanted&) { return calls_.GetTokenBytes(*request, response); },
      [request] { return int64_t{request->token_ids_size()}; });
}

grpc::ServerUnaryReactor* TokenizerServer::RenderChat(grpc::CallbackServerContext* context,
                                                      const v1::RenderChatRequest* request,
                                                      v1::RenderChatResponse* response) {
  const RequestLog log("RenderChat", TokenUse::kEncoded, *context, metrics_);
  return Serve(
      context, log, request->ByteSizeLong(),
      [=, this](const Wanted& wanted) { return calls_.RenderChat(*request, wanted, response); },
      [response] { return int64_t{response->token_ids_size()}; });
}

grpc::ServerUnaryReactor* TokenizerServer::CountTokens(grpc::CallbackServerContext* context,
                                                       const v1::CountTokensRequest* request,
                                                       v1::CountTokensResponse* response) {
  const RequestLog log("CountTokens", TokenUse::kEncoded, *context, metrics_);
  return Serve(
      context, log, request->ByteSizeLong(),
      [=, this](const Wanted& wanted) { return calls_.CountTokens(*request, wanted, response); },
      [response] { return response->token_count(); });
}

grpc::ServerBidiReactor<v1::ParseStreamRequest, v1::ParseEvents>* TokenizerServer::ParseStream(
    grpc::CallbackServerContext* context) {
  return ServeParseStream(model_.tokenizer(), metrics_, context);
}

grpc::ServerUnaryReactor* TokenizerServer::Parse(grpc::CallbackServerContext* context,
                                                 const v1::ParseRequest* request,
                                                 v1::ParseResponse* response) {
  const RequestLog log("Parse", TokenUse::kDecoded, *context, metrics_);
  return Serve(
      context, log, request->ByteSizeLong(),
      [=, this](const Wanted&) { return calls_.Parse(*request, response); },
      [request] { return int64_t{request->tokens().token_ids_size()}; });
}

grpc::ServerUnaryReactor* TokenizerServer::GetInfo(grpc::CallbackServerContext* context,
                                                   const v1::GetInfoRequest*,
                                                   v1::TokenizerInfo* response) {
  // Gateways look every second.
  const RequestLog log("GetInfo", TokenUse::kNeither, *context, metrics_, /*quiet=*/true);
  return Serve(
      context, log, /*request_bytes=*/0,
      [=, this](const Wanted&) {
        *response = info_;
        return absl::OkStatus();
      },
      NoTokens);
}

grpc::ServerUnaryReactor* TokenizerServer::GetModelFiles(grpc::CallbackServerContext* context,
                                                         const v1::GetModelFilesRequest*,
                                                         v1::ModelFiles* response) {
  const RequestLog log("GetModelFiles", TokenUse::kNeither, *context, metrics_);
  return Serve(
      context, log, /*request_bytes=*/0,
      [=, this](const Wanted&) {
        *response = files_;
        return absl::OkStatus();
      },
      NoTokens);
}

}  // namespace vallm::tokenizer
