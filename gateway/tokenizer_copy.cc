#include "gateway/tokenizer_copy.h"

#include <utility>

#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "tokenizer_service/convert.h"

namespace vallm::gateway {
namespace {

absl::Status Always() { return absl::OkStatus(); }

// What arrives of `status` when it travels: errors must not depend on who has answered.
absl::Status AsReceived(const absl::Status& status) { return FromGrpc(ToGrpc(status)); }

}  // namespace

absl::StatusOr<std::shared_ptr<const TokenizerCopy>> TokenizerCopy::Create(v1::ModelFiles files,
                                                                           int prompt_cache_mib) {
  if (files.time_zone() == "localtime") {
    return absl::InvalidArgumentError("its time zone has no name that means the same here");
  }
  v1::ModelFiles config = files;
  config.clear_tokenizer_json();
  VALLM_ASSIGN_OR_RETURN(
      auto model, tokenizer::ServedModel::Create(tokenizer::ModelFilesFromProto(std::move(files)),
                                                 static_cast<size_t>(prompt_cache_mib) << 20));
  return std::shared_ptr<const TokenizerCopy>(
      new TokenizerCopy(std::move(model), std::move(config)));
}

TokenizerCopy::TokenizerCopy(std::unique_ptr<const tokenizer::ServedModel> model,
                             v1::ModelFiles config)
    : model_(std::move(model)),
      calls_(*model_, /*encode_threads=*/1),
      info_(calls_.GetInfo()),
      config_(std::move(config)) {}

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
