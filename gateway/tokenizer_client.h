// The unary calls of tokenizer_service, blocking. Thread-safe.
#ifndef VALLM_GATEWAY_TOKENIZER_CLIENT_H_
#define VALLM_GATEWAY_TOKENIZER_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "vallm/v1/tokenizer.grpc.pb.h"

namespace vallm::gateway {

// Every call waits for a connection, so that a restart of the service is not an error.
// Errors, besides those of the service: UNAVAILABLE when it has not answered in time.
class TokenizerClient {
 public:
  explicit TokenizerClient(const std::string& address);

  absl::StatusOr<v1::RenderChatResponse> RenderChat(const v1::RenderChatRequest& request,
                                                    const std::string& request_id);
  absl::StatusOr<v1::EncodeResponse> Encode(const v1::EncodeRequest& request,
                                            const std::string& request_id);
  absl::StatusOr<v1::DecodeResponse> Decode(const v1::DecodeRequest& request,
                                            const std::string& request_id);
  absl::StatusOr<v1::GetTokenBytesResponse> GetTokenBytes(const v1::GetTokenBytesRequest& request,
                                                          const std::string& request_id);
  absl::StatusOr<v1::TokenizerInfo> GetInfo(absl::Duration timeout);

  // For ParseStream.
  v1::Tokenizer::Stub& stub() { return *stub_; }

 private:
  const std::unique_ptr<v1::Tokenizer::Stub> stub_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_TOKENIZER_CLIENT_H_
