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
  if (Table table = Known(nullptr)) return table;
  VALLM_ASSIGN_OR_RETURN(const v1::TokenizerInfo info, client_.GetInfo(timeout));
  return FetchOnce(info, request_id);
}

absl::Status RemoteVocabulary::Check(absl::Duration timeout, const RequestId& request_id) {
  VALLM_ASSIGN_OR_RETURN(const v1::TokenizerInfo info, client_.GetInfo(timeout));
  return FetchOnce(info, request_id).status();
}

void RemoteVocabulary::ForgetUnless(const std::string& fingerprint) {
  MutexLock lock(mu_);
  if (fingerprint_ != fingerprint) table_ = nullptr;
}

void RemoteVocabulary::Forget() {
  MutexLock lock(mu_);
  table_ = nullptr;
}

RemoteVocabulary::Table RemoteVocabulary::Known(const std::string* fingerprint) {
  MutexLock lock(mu_);
  return fingerprint == nullptr || *fingerprint == fingerprint_ ? table_ : nullptr;
}

absl::StatusOr<RemoteVocabulary::Table> RemoteVocabulary::FetchOnce(const v1::TokenizerInfo& info,
                                                                    const RequestId& request_id) {
  if (Table table = Known(&info.fingerprint())) return table;
  const int64_t failures = failures_;
  MutexLock fetch_lock(fetch_mu_);
  if (Table table = Known(&info.fingerprint())) return table;
  if (failures_ != failures) return last_failure_;
  absl::StatusOr<Table> table = Fetch(info, request_id);
  if (!table.ok()) {
    last_failure_ = table.status();
    ++failures_;
    return table;
  }
  MutexLock lock(mu_);
  table_ = *table;
  fingerprint_ = info.fingerprint();
  return table;
}

absl::StatusOr<RemoteVocabulary::Table> RemoteVocabulary::Fetch(const v1::TokenizerInfo& info,
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
  return std::make_shared<const TokenTexts>(std::move(bytes),
                                            std::vector<int32_t>(special.begin(), special.end()));
}

}  // namespace vallm::gateway
