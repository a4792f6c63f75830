#include "gateway/routes/context.h"

#include <algorithm>
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

}  // namespace vallm::gateway
