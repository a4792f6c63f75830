// The Tokenizer service of tokenizer.proto over a loaded model: translates, calls, answers. Holds
// no state between RPCs.
//
// Thread-safe. Small requests are computed in gRPC's threads: the work is bounded by their size and
// the template's limits, and nothing in it waits. Large ones have threads of their own, so that
// they do not hold up open streams.
#ifndef VALLM_TOKENIZER_SERVICE_TOKENIZER_SERVER_H_
#define VALLM_TOKENIZER_SERVICE_TOKENIZER_SERVER_H_

#include <cstdint>
#include <functional>

#include "tokenizer_service/request_log.h"
#include "tokenizer_service/served_model.h"
#include "tokenizer_service/service_metrics.h"
#include "tokenizer_service/tokenizer_calls.h"
#include "tokenizer_service/work_queue.h"
#include "vallm/v1/tokenizer.grpc.pb.h"

namespace vallm::tokenizer {

class TokenizerServer final : public v1::Tokenizer::CallbackService {
 public:
  // `model`, which is made of `files`, and `metrics` must outlive the gRPC server that this is
  // registered with.
  TokenizerServer(const ServedModel& model, ModelFiles files, ServiceMetrics& metrics);

  grpc::ServerUnaryReactor* Encode(grpc::CallbackServerContext* context,
                                   const v1::EncodeRequest* request,
                                   v1::EncodeResponse* response) override;
  grpc::ServerUnaryReactor* Decode(grpc::CallbackServerContext* context,
                                   const v1::DecodeRequest* request,
                                   v1::DecodeResponse* response) override;
  grpc::ServerUnaryReactor* GetTokenBytes(grpc::CallbackServerContext* context,
                                          const v1::GetTokenBytesRequest* request,
                                          v1::GetTokenBytesResponse* response) override;
  grpc::ServerUnaryReactor* RenderChat(grpc::CallbackServerContext* context,
                                       const v1::RenderChatRequest* request,
                                       v1::RenderChatResponse* response) override;
  grpc::ServerUnaryReactor* CountTokens(grpc::CallbackServerContext* context,
                                        const v1::CountTokensRequest* request,
                                        v1::CountTokensResponse* response) override;
  grpc::ServerBidiReactor<v1::ParseStreamRequest, v1::ParseEvents>* ParseStream(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Parse(grpc::CallbackServerContext* context,
                                  const v1::ParseRequest* request,
                                  v1::ParseResponse* response) override;
  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext* context,
                                    const v1::GetInfoRequest* request,
                                    v1::TokenizerInfo* response) override;

  grpc::ServerUnaryReactor* GetModelFiles(grpc::CallbackServerContext* context,
                                          const v1::GetModelFilesRequest* request,
                                          v1::ModelFiles* response) override;

 private:
  // Fills the response. Long work asks `wanted` from time to time and ends with its error.
  using Handler = std::function<absl::Status(const TokenizerCalls::Wanted& wanted)>;
  // The tokens of a response that is done, for the log.
  using TokenCount = std::function<int64_t()>;

  // Runs `handle` for a request of so many bytes, here or in a thread for large ones, unless nobody
  // waits for its answer any more.
  grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context, const RequestLog& log,
                                  size_t request_bytes, Handler handle, TokenCount token_count);

  const ServedModel& model_;
  ServiceMetrics& metrics_;
  const TokenizerCalls calls_;
  const v1::TokenizerInfo info_;
  v1::ModelFiles files_;
  WorkQueue large_requests_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TOKENIZER_SERVER_H_
