#include "gateway/tokenizer_copy.h"

#include <utility>

#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "tokenizer_service/convert.h"

namespace vallm::gateway {
namespace {

// Only small requests come here, whose prompts are short.
constexpr size_t kPromptCacheBytes = size_t{16} << 20;

absl::Status Always() { return absl::OkStatus(); }

// What arrives of `status` when it travels: errors must not depend on who has answered.
absl::Status AsReceived(const absl::Status& status) { return FromGrpc(ToGrpc(status)); }

}  // namespace

absl::StatusOr<std::shared_ptr<const TokenizerCopy>> TokenizerCopy::Create(v1::ModelFiles files) {
  VALLM_ASSIGN_OR_RETURN(
      auto model, tokenizer::ServedModel::Create(tokenizer::ModelFilesFromProto(std::move(files)),
                                                 kPromptCacheBytes));
  auto copy = std::shared_ptr<TokenizerCopy>(new TokenizerCopy(std::move(model)));
  VALLM_RETURN_IF_ERROR(copy->calls_.GetInfo(&copy->info_));
  tokenizer::ModelFilesToProto(copy->model_->files(), &copy->config_);
  return copy;
}

TokenizerCopy::TokenizerCopy(std::unique_ptr<const tokenizer::ServedModel> model)
    : model_(std::move(model)), calls_(*model_, /*encode_threads=*/1) {}

absl::StatusOr<v1::EncodeResponse> TokenizerCopy::Encode(const v1::EncodeRequest& request) const {
  v1::EncodeResponse response;
  VALLM_RETURN_IF_ERROR(AsReceived(calls_.Encode(request, Always, &response)));
  return response;
}

absl::StatusOr<v1::DecodeResponse> TokenizerCopy::Decode(const v1::DecodeRequest& request) const {
  v1::DecodeResponse response;
  VALLM_RETURN_IF_ERROR(AsReceived(calls_.Decode(request, &response)));
  return response;
}

absl::StatusOr<v1::GetTokenBytesResponse> TokenizerCopy::GetTokenBytes(
    const v1::GetTokenBytesRequest& request) const {
  v1::GetTokenBytesResponse response;
  VALLM_RETURN_IF_ERROR(AsReceived(calls_.GetTokenBytes(request, &response)));
  return response;
}

absl::StatusOr<v1::RenderChatResponse> TokenizerCopy::RenderChat(
    const v1::RenderChatRequest& request) const {
  v1::RenderChatResponse response;
  VALLM_RETURN_IF_ERROR(AsReceived(calls_.RenderChat(request, Always, &response)));
  return response;
}

absl::StatusOr<v1::CountTokensResponse> TokenizerCopy::CountTokens(
    const v1::CountTokensRequest& request) const {
  v1::CountTokensResponse response;
  VALLM_RETURN_IF_ERROR(AsReceived(calls_.CountTokens(request, Always, &response)));
  return response;
}

}  // namespace vallm::gateway
