// What the unary calls of tokenizer.proto do, without the RPC: a request's message in, a response's
// out. The service answers its calls with it, and the gateway its own small ones.
//
// Immutable, thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_TOKENIZER_CALLS_H_
#define VALLM_TOKENIZER_SERVICE_TOKENIZER_CALLS_H_

#include "absl/status/status.h"
#include "tokenizer_service/served_model.h"
#include "vallm/v1/tokenizer.pb.h"

namespace vallm::tokenizer {

class TokenizerCalls {
 public:
  // Long work asks it from time to time whether to go on, and ends with its error.
  using Wanted = ServedModel::Wanted;

  // `model` must outlive this. One large Encode of many texts may use `encode_threads`.
  TokenizerCalls(const ServedModel& model, int encode_threads)
      : model_(model), encode_threads_(encode_threads) {}

  // Each but the last fills an empty `response`. Errors: as tokenizer.proto has them for the call
  // of that name.
  absl::Status Encode(const v1::EncodeRequest& request, const Wanted& wanted,
                      v1::EncodeResponse* response) const;
  absl::Status Decode(const v1::DecodeRequest& request, v1::DecodeResponse* response) const;
  absl::Status GetTokenBytes(const v1::GetTokenBytesRequest& request,
                             v1::GetTokenBytesResponse* response) const;
  absl::Status RenderChat(const v1::RenderChatRequest& request, const Wanted& wanted,
                          v1::RenderChatResponse* response) const;
  absl::Status CountTokens(const v1::CountTokensRequest& request, const Wanted& wanted,
                           v1::CountTokensResponse* response) const;
  absl::Status Parse(const v1::ParseRequest& request, v1::ParseResponse* response) const;
  v1::TokenizerInfo GetInfo() const;  // goes through the vocabulary

  // Requests up to this size take a few milliseconds at most.
  static constexpr size_t kSmallRequestBytes = 64 << 10;

 private:
  const ServedModel& model_;
  const int encode_threads_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TOKENIZER_CALLS_H_
