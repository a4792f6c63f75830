#include "gateway/routes/context.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "gateway/openai/errors.h"

namespace vallm::gateway {

absl::StatusOr<RequestGate::Place> RequestGate::Enter() {
  MutexLock lock(mu_);
  if (closed_) return absl::UnavailableError("the server is shutting down");
  if (inside_ >= limit_) {
    return absl::UnavailableError(absl::StrCat("the server is handling ", inside_,
                                               " requests already; the limit is ", limit_));
  }
  ++inside_;
  return Place(this);
}

void RequestGate::Leave() {
  MutexLock lock(mu_);
  --inside_;
  left_.NotifyAll();
}

void RequestGate::Close() {
  MutexLock lock(mu_);
  closed_ = true;
}

int RequestGate::inside() {
  MutexLock lock(mu_);
  return inside_;
}

bool RequestGate::WaitUntilEmpty(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  MutexLock lock(mu_);
  while (inside_ > 0) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    left_.WaitFor(mu_, absl::ToChronoNanoseconds(left));
  }
  return true;
}

absl::StatusOr<ServedModel> GatewayContext::GetServedModel() {
  VALLM_ASSIGN_OR_RETURN(const v1::ModelInfo info,
                         pool.GetModelInfo(options.instances.queue.no_instance_timeout));
  ServedModel model;
  model.names = options.served_model_names;
  if (model.names.empty()) {
    std::string path = info.model_path();
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    model.names = {path.substr(path.rfind('/') + 1)};
  }
  model.max_model_len = options.max_model_len > 0
                            ? std::min(options.max_model_len, info.max_model_len())
                            : info.max_model_len();
  model.max_input_len = options.max_input_len > 0
                            ? std::min(options.max_input_len, info.max_input_len())
                            : info.max_input_len();
  model.fingerprint = info.fingerprint();
  return model;
}

absl::StatusOr<ServedModel> GatewayContext::GetServedModel(const std::string& name) {
  VALLM_ASSIGN_OR_RETURN(ServedModel model, GetServedModel());
  if (!name.empty() &&
      std::find(model.names.begin(), model.names.end(), name) == model.names.end()) {
    return WithErrorCode(absl::NotFoundError(absl::StrCat("the model '", name, "' does not exist")),
                         "model_not_found", "model");
  }
  return model;
}

absl::StatusOr<std::shared_ptr<const TokenTexts>> GatewayContext::GetTokenTexts(
    const RequestId& request_id) {
  MutexLock lock(token_texts_mu_);
  if (token_texts_ == nullptr) {
    VALLM_ASSIGN_OR_RETURN(const v1::TokenizerInfo info,
                           tokenizer.GetInfo(options.instances.queue.no_instance_timeout));
    VALLM_RETURN_IF_ERROR(FetchTokenTextsLocked(info, request_id));
  }
  return token_texts_;
}

absl::Status GatewayContext::CheckTokenizer(absl::Duration timeout, const RequestId& request_id) {
  VALLM_ASSIGN_OR_RETURN(const v1::TokenizerInfo info, tokenizer.GetInfo(timeout));
  MutexLock lock(token_texts_mu_);
  if (token_texts_ != nullptr && info.fingerprint() == token_texts_of_) return absl::OkStatus();
  return FetchTokenTextsLocked(info, request_id);
}

absl::Status GatewayContext::FetchTokenTextsLocked(const v1::TokenizerInfo& info,
                                                   const RequestId& request_id) {
  constexpr int32_t kIdsPerCall = 1 << 15;  // answers stay far below gRPC's 4 MiB
  std::vector<std::string> bytes;
  while (static_cast<int32_t>(bytes.size()) < info.vocab_size()) {
    const auto begin = static_cast<int32_t>(bytes.size());
    v1::GetTokenBytesRequest request;
    for (int32_t id = begin; id < std::min(begin + kIdsPerCall, info.vocab_size()); ++id) {
      request.add_token_ids(id);
    }
    VALLM_ASSIGN_OR_RETURN(v1::GetTokenBytesResponse response,
                           tokenizer.GetTokenBytes(request, request_id));
    if (response.token_bytes_size() != request.token_ids_size()) {
      return absl::InternalError("the tokenizer service did not give the bytes of every token");
    }
    for (std::string& token : *response.mutable_token_bytes()) bytes.push_back(std::move(token));
  }
  const auto& special = info.special_token_ids();
  token_texts_ = std::make_shared<const TokenTexts>(
      std::move(bytes), std::vector<int32_t>(special.begin(), special.end()));
  token_texts_of_ = info.fingerprint();
  return absl::OkStatus();
}

}  // namespace vallm::gateway
