// The unary calls of tokenizer_service, blocking. Thread-safe.
#ifndef VALLM_GATEWAY_TOKENIZER_CLIENT_H_
#define VALLM_GATEWAY_TOKENIZER_CLIENT_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tls_files.h"
#include "gateway/request_id.h"
#include "vallm/v1/tokenizer.grpc.pb.h"

namespace vallm::gateway {

// Every call but GetInfo and GetModelFiles waits for the service while it is away, for `patience`
// in all, and is made again when the service dies over it: a restart is not an error. Errors,
// besides those of the service: UNAVAILABLE when it has not come back or answered in time.
class TokenizerClient {
 public:
  TokenizerClient(const std::string& address, absl::Duration patience, const TlsFiles& tls = {});

  absl::StatusOr<v1::RenderChatResponse> RenderChat(const v1::RenderChatRequest& request,
                                                    const RequestId& request_id);
  absl::StatusOr<v1::CountTokensResponse> CountTokens(const v1::CountTokensRequest& request,
                                                      const RequestId& request_id);
  absl::StatusOr<v1::EncodeResponse> Encode(const v1::EncodeRequest& request,
                                            const RequestId& request_id);
  absl::StatusOr<v1::DecodeResponse> Decode(const v1::DecodeRequest& request,
                                            const RequestId& request_id);
  absl::StatusOr<v1::GetTokenBytesResponse> GetTokenBytes(const v1::GetTokenBytesRequest& request,
                                                          const RequestId& request_id);
  // Are made once. Errors also: UNAVAILABLE without an answer in time.
  absl::StatusOr<v1::TokenizerInfo> GetInfo(absl::Duration timeout);
  absl::StatusOr<v1::ModelFiles> GetModelFiles(const RequestId& request_id);
  // Makes an attempt to connect that is due later now, if there is no connection.
  void ConnectSoon();

 private:
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::Tokenizer::Stub::*method)(grpc::ClientContext*,
                                                                            const Request&,
                                                                            Response*),
                                const Request& request, const RequestId& request_id);

  const absl::Duration patience_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::Tokenizer::Stub> stub_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_TOKENIZER_CLIENT_H_
