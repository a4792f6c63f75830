// A copy, in this process, of what a tokenizer service serves, made of the files that it hands out.
// Immutable but for a cache of encoded prompts; thread-safe.
#ifndef VALLM_GATEWAY_TOKENIZER_COPY_H_
#define VALLM_GATEWAY_TOKENIZER_COPY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "tokenizer_service/served_model.h"
#include "tokenizer_service/tokenizer_calls.h"
#include "vallm/v1/tokenizer.pb.h"

namespace vallm::gateway {

class TokenizerCopy {
 public:
  // Takes a few tenths of a second. The copy remembers so much of encoded prompts; 0: nothing.
  // Errors: INVALID_ARGUMENT for files that cannot be, and for a time zone unknown here.
  static absl::StatusOr<std::shared_ptr<const TokenizerCopy>> Create(v1::ModelFiles files,
                                                                     int prompt_cache_mib);

  // The service's calls: the same answers, the same errors.
  absl::StatusOr<v1::EncodeResponse> Encode(const v1::EncodeRequest& request) const;
  absl::StatusOr<v1::DecodeResponse> Decode(const v1::DecodeRequest& request) const;
  absl::StatusOr<v1::GetTokenBytesResponse> GetTokenBytes(
      const v1::GetTokenBytesRequest& request) const;
  absl::StatusOr<v1::RenderChatResponse> RenderChat(const v1::RenderChatRequest& request) const;
  absl::StatusOr<v1::CountTokensResponse> CountTokens(const v1::CountTokensRequest& request) const;
  const v1::TokenizerInfo& info() const { return info_; }
  const tokenizer::TokenTable& token_table() const { return model_->tokenizer(); }
  // The files without tokenizer_json.
  const v1::ModelFiles& config() const { return config_; }

 private:
  TokenizerCopy(std::unique_ptr<const tokenizer::ServedModel> model, v1::ModelFiles config);

  const std::unique_ptr<const tokenizer::ServedModel> model_;
  const tokenizer::TokenizerCalls calls_;
  const v1::TokenizerInfo info_;
  const v1::ModelFiles config_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_TOKENIZER_COPY_H_
