#include "gateway/prompt_tokenizer.h"

#include <glog/logging.h>

#include <utility>

#include "common/status_macros.h"

namespace vallm::gateway {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(1);
// After a service that has no files to hand out: each try may cost it megabytes.
constexpr absl::Duration kRetryInterval = absl::Seconds(20);
constexpr absl::Duration kLookPatience = absl::Milliseconds(500);

// A template of the request's own is for the service to run.
bool BringsTemplate(const v1::RenderChatRequest& request) {
  return !request.chat_template().empty();
}
bool BringsTemplate(const v1::CountTokensRequest& request) {
  return !request.chat_template().empty();
}
template <typename Request>
bool BringsTemplate(const Request&) {
  return false;
}

}  // namespace

PromptTokenizer::PromptTokenizer(const std::string& address, int local_bytes,
                                 absl::Duration patience, const TlsFiles& tls)
    : local_bytes_(static_cast<size_t>(local_bytes)), client_(address, patience, tls) {
  if (local_bytes_ > 0) follower_ = std::thread([this] { Follow(); });
}

PromptTokenizer::~PromptTokenizer() {
  if (!follower_.joinable()) return;
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  follower_.join();
}

void PromptTokenizer::Follow() {
  absl::Status last_error;
  MutexLock lock(mu_);
  while (!stopping_) {
    mu_.Unlock();
    const absl::Status status = Refresh();
    if (!status.ok() && status != last_error) {
      LOG(WARNING) << "the tokenizer service answers all calls, as there is no copy of it: "
                   << status.message();
    }
    last_error = status;
    mu_.Lock();
    const absl::Duration interval = status.ok() ? kLookInterval : kRetryInterval;
    if (!stopping_) wake_.WaitFor(mu_, absl::ToChronoNanoseconds(interval));
  }
}

absl::Status PromptTokenizer::Refresh() {
  const absl::StatusOr<v1::TokenizerInfo> info = client_.GetInfo(kLookPatience);
  // A service that is away will come back as it was, most likely.
  if (!info.ok()) return absl::OkStatus();
  const Copy old = copy();
  if (old != nullptr && old->info().files_fingerprint() == info->files_fingerprint()) {
    return absl::OkStatus();
  }
  absl::StatusOr<Copy> made = MakeCopy(*info);
  {
    MutexLock lock(mu_);
    copy_ = made.value_or(nullptr);  // an old one would give the prompts of yesterday
  }
  VALLM_RETURN_IF_ERROR(made.status());
  LOG(INFO) << "prompts up to " << local_bytes_ << " bytes are encoded here from now on, as "
            << info->model_path() << " has it, files " << info->files_fingerprint();
  return absl::OkStatus();
}

absl::StatusOr<PromptTokenizer::Copy> PromptTokenizer::MakeCopy(const v1::TokenizerInfo& info) {
  if (info.files_fingerprint().empty()) {
    return absl::UnimplementedError("its version does not hand out its files");
  }
  VALLM_ASSIGN_OR_RETURN(v1::ModelFiles files, client_.GetModelFiles());
  VALLM_ASSIGN_OR_RETURN(Copy made, TokenizerCopy::Create(std::move(files)));
  if (made->info().files_fingerprint() == info.files_fingerprint()) return made;
  return absl::UnavailableError("its files changed while they were fetched");
}

PromptTokenizer::Copy PromptTokenizer::copy() {
  MutexLock lock(mu_);
  return copy_;
}

template <typename Request>
PromptTokenizer::Copy PromptTokenizer::CopyFor(const Request& request) {
  if (local_bytes_ == 0 || BringsTemplate(request)) return nullptr;
  return request.ByteSizeLong() <= local_bytes_ ? copy() : nullptr;
}

absl::StatusOr<v1::RenderChatResponse> PromptTokenizer::RenderChat(
    const v1::RenderChatRequest& request, const RequestId& request_id) {
  const Copy copy = CopyFor(request);
  return copy != nullptr ? copy->RenderChat(request) : client_.RenderChat(request, request_id);
}

absl::StatusOr<v1::CountTokensResponse> PromptTokenizer::CountTokens(
    const v1::CountTokensRequest& request, const RequestId& request_id) {
  const Copy copy = CopyFor(request);
  return copy != nullptr ? copy->CountTokens(request) : client_.CountTokens(request, request_id);
}

absl::StatusOr<v1::EncodeResponse> PromptTokenizer::Encode(const v1::EncodeRequest& request,
                                                           const RequestId& request_id) {
  const Copy copy = CopyFor(request);
  return copy != nullptr ? copy->Encode(request) : client_.Encode(request, request_id);
}

absl::StatusOr<v1::DecodeResponse> PromptTokenizer::Decode(const v1::DecodeRequest& request,
                                                           const RequestId& request_id) {
  const Copy copy = CopyFor(request);
  return copy != nullptr ? copy->Decode(request) : client_.Decode(request, request_id);
}

absl::StatusOr<v1::GetTokenBytesResponse> PromptTokenizer::GetTokenBytes(
    const v1::GetTokenBytesRequest& request, const RequestId& request_id) {
  const Copy copy = CopyFor(request);
  return copy != nullptr ? copy->GetTokenBytes(request)
                         : client_.GetTokenBytes(request, request_id);
}

absl::StatusOr<v1::TokenizerInfo> PromptTokenizer::GetInfo(absl::Duration timeout) {
  if (const Copy copy = this->copy()) return copy->info();
  return client_.GetInfo(timeout);
}

absl::StatusOr<v1::ModelFiles> PromptTokenizer::GetConfig() {
  if (const Copy copy = this->copy()) return copy->config();
  VALLM_ASSIGN_OR_RETURN(v1::ModelFiles files, client_.GetModelFiles());
  files.clear_tokenizer_json();
  return files;
}

}  // namespace vallm::gateway
