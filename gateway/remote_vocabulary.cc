#include "gateway/remote_vocabulary.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "gateway/openai/token_texts.h"

namespace vallm::gateway {

absl::StatusOr<std::shared_ptr<const tokenizer::TokenTable>> RemoteVocabulary::Get(
    absl::Duration timeout, const RequestId& request_id) {
  MutexLock lock(mu_);
  if (table_ == nullptr) {
    VALLM_ASSIGN_OR_RETURN(const v1::TokenizerInfo info, client_.GetInfo(timeout));
    VALLM_RETURN_IF_ERROR(FetchLocked(info, request_id));
  }
  return table_;
}

absl::Status RemoteVocabulary::Check(absl::Duration timeout, const RequestId& request_id) {
  VALLM_ASSIGN_OR_RETURN(const v1::TokenizerInfo info, client_.GetInfo(timeout));
  MutexLock lock(mu_);
  if (table_ != nullptr && info.fingerprint() == fingerprint_) return absl::OkStatus();
  return FetchLocked(info, request_id);
}

void RemoteVocabulary::Forget() {
  MutexLock lock(mu_);
  table_ = nullptr;
}

absl::Status RemoteVocabulary::FetchLocked(const v1::TokenizerInfo& info,
                                           const RequestId& request_id) {
  constexpr int32_t kIdsPerCall = 1 << 15;  // answers stay far below the limit of a message
  std::vector<std::string> bytes;
  while (static_cast<int32_t>(bytes.size()) < info.vocab_size()) {
    const auto begin = static_cast<int32_t>(bytes.size());
    v1::GetTokenBytesRequest request;
    for (int32_t id = begin; id < std::min(begin + kIdsPerCall, info.vocab_size()); ++id) {
      request.add_token_ids(id);
    }
    VALLM_ASSIGN_OR_RETURN(v1::GetTokenBytesResponse response,
                           client_.GetTokenBytes(request, request_id));
    if (response.token_bytes_size() != request.token_ids_size()) {
      return absl::InternalError("the tokenizer service did not give the bytes of every token");
    }
    for (std::string& token : *response.mutable_token_bytes()) bytes.push_back(std::move(token));
  }
  const auto& special = info.special_token_ids();
  table_ = std::make_shared<const TokenTexts>(std::move(bytes),
                                              std::vector<int32_t>(special.begin(), special.end()));
  fingerprint_ = info.fingerprint();
  return absl::OkStatus();
}

}  // namespace vallm::gateway
