#include "gateway/prompt_tokenizer.h"

#include <glog/logging.h>
#include <malloc.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "common/status_macros.h"
#include "common/usable_cores.h"

namespace vallm::gateway {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(1);
// While the service is away: it may come back with other files.
constexpr absl::Duration kAwayInterval = absl::Milliseconds(100);
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

// Whether another try may go better than the one that ended so.
bool Passes(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsCancelled(status);
}

}  // namespace

PromptTokenizer::PromptTokenizer(const PromptTokenizerOptions& options, absl::Duration patience,
                                 const TlsFiles& tls)
    : options_(options),
      patience_(patience),
      client_(options.address, patience, tls),
      vocabulary_(client_),
      follower_([this] { Follow(); }) {}

PromptTokenizer::~PromptTokenizer() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  follower_.join();
}

void PromptTokenizer::Follow() {
  MutexLock lock(mu_);
  while (!stopping_) {
    mu_.Unlock();
    const absl::Duration interval = Look();
    mu_.Lock();
    if (!stopping_) wake_.WaitFor(mu_, absl::ToChronoNanoseconds(interval));
  }
}

absl::Duration PromptTokenizer::Look() {
  const absl::StatusOr<v1::TokenizerInfo> info = client_.GetInfo(kLookPatience);
  const bool was_up = service_is_up_.exchange(info.ok());
  if (was_up && !info.ok()) {
    LOG(WARNING) << "the tokenizer service at " << options_.address
                 << " does not answer: " << info.status().message();
  } else if (!was_up && info.ok()) {
    LOG(INFO) << "the tokenizer service at " << options_.address << " answers";
  }
  if (!info.ok()) {
    client_.ConnectSoon();
    return kAwayInterval;
  }
  vocabulary_.ForgetUnless(info->fingerprint());
  if (options_.local_prompt_bytes > 0) CopyIfNew(*info);
  return kLookInterval;
}

void PromptTokenizer::CopyIfNew(const v1::TokenizerInfo& info) {
  const std::string& fingerprint = info.files_fingerprint();
  const Copy old = copy();
  if (old != nullptr && old->info().files_fingerprint() == fingerprint) return;
  Use(nullptr);  // prompts are the service's until there is a new one
  if (unusable_ == fingerprint) return;
  absl::StatusOr<Copy> made = MakeCopy(info);
  if (made.ok()) {
    Use(*std::move(made));
    LOG(INFO) << "prompts up to " << options_.local_prompt_bytes
              << " bytes are encoded here from now on, as " << info.model_path()
              << " has it, files " << fingerprint;
  } else if (made.status() != last_copy_error_) {
    LOG(WARNING) << "all prompts are the tokenizer service's, as there is no copy of it: "
                 << made.status().message();
  }
  last_copy_error_ = made.status();
  if (!made.ok() && !Passes(made.status())) unusable_ = fingerprint;
}

absl::StatusOr<PromptTokenizer::Copy> PromptTokenizer::MakeCopy(const v1::TokenizerInfo& info) {
  if (info.files_fingerprint().empty()) {
    return absl::UnimplementedError("its version does not hand out its files");
  }
  VALLM_ASSIGN_OR_RETURN(const v1::ModelFiles files, client_.GetModelFiles(""));
  VALLM_ASSIGN_OR_RETURN(Copy made, TokenizerCopy::Create(files, options_.prompt_cache_mib));
  if (made->info().files_fingerprint() == info.files_fingerprint()) return made;
  return absl::FailedPreconditionError("it is of another version than this gateway");
}

PromptTokenizer::Copy PromptTokenizer::copy() {
  MutexLock lock(mu_);
  return copy_;
}

void PromptTokenizer::Use(Copy copy) {
  const bool is_new = copy != nullptr;
  {
    MutexLock lock(mu_);
    copy_.swap(copy);
  }
  copy = nullptr;
  if (!is_new) return;
  vocabulary_.Forget();
  malloc_trim(0);  // making it has taken a multiple of what it keeps
}

template <typename Request, typename Response>
absl::StatusOr<Response> PromptTokenizer::Answer(
    const Request& request, const RequestId& request_id,
    absl::StatusOr<Response> (TokenizerCopy::*here)(const Request&) const,
    absl::StatusOr<Response> (TokenizerClient::*there)(const Request&, const RequestId&)) {
  const bool is_small = !BringsTemplate(request) &&
                        request.ByteSizeLong() <= static_cast<size_t>(options_.local_prompt_bytes);
  const Copy copy = is_small ? this->copy() : nullptr;
  if (copy == nullptr) return (client_.*there)(request, request_id);
  EnterHere();
  absl::StatusOr<Response> response = ((*copy).*here)(request);
  LeaveHere();
  if (!response.ok()) {
    LOG(INFO) << "request " << request_id
              << ": prompt: " << absl::CEscape(response.status().ToString());
  }
  return response;
}

void PromptTokenizer::EnterHere() {
  static const int most_here = std::max(2, UsableCores());
  MutexLock lock(turns_mu_);
  while (running_here_ >= most_here) turn_free_.Wait(turns_mu_);
  ++running_here_;
}

void PromptTokenizer::LeaveHere() {
  {
    MutexLock lock(turns_mu_);
    --running_here_;
  }
  turn_free_.NotifyOne();
}

absl::StatusOr<v1::RenderChatResponse> PromptTokenizer::RenderChat(
    const v1::RenderChatRequest& request, const RequestId& request_id) {
  return Answer(request, request_id, &TokenizerCopy::RenderChat, &TokenizerClient::RenderChat);
}

absl::StatusOr<v1::CountTokensResponse> PromptTokenizer::CountTokens(
    const v1::CountTokensRequest& request, const RequestId& request_id) {
  return Answer(request, request_id, &TokenizerCopy::CountTokens, &TokenizerClient::CountTokens);
}

absl::StatusOr<v1::EncodeResponse> PromptTokenizer::Encode(const v1::EncodeRequest& request,
                                                           const RequestId& request_id) {
  return Answer(request, request_id, &TokenizerCopy::Encode, &TokenizerClient::Encode);
}

absl::StatusOr<v1::DecodeResponse> PromptTokenizer::Decode(const v1::DecodeRequest& request,
                                                           const RequestId& request_id) {
  return Answer(request, request_id, &TokenizerCopy::Decode, &TokenizerClient::Decode);
}

absl::StatusOr<v1::GetTokenBytesResponse> PromptTokenizer::GetTokenBytes(
    const v1::GetTokenBytesRequest& request, const RequestId& request_id) {
  return Answer(request, request_id, &TokenizerCopy::GetTokenBytes,
                &TokenizerClient::GetTokenBytes);
}

absl::StatusOr<std::shared_ptr<const tokenizer::TokenTable>> PromptTokenizer::GetTokenTable(
    const RequestId& request_id) {
  if (const Copy copy = this->copy()) return {{copy, &copy->token_table()}};
  return vocabulary_.Get(patience_, request_id);
}

absl::StatusOr<v1::ModelFiles> PromptTokenizer::GetConfig(const RequestId& request_id) {
  if (const Copy copy = this->copy()) return copy->config();
  VALLM_ASSIGN_OR_RETURN(const v1::TokenizerInfo info, client_.GetInfo(kLookPatience));
  {
    MutexLock lock(config_mu_);
    const bool known = !config_fingerprint_.empty();
    if (known && config_fingerprint_ == info.files_fingerprint()) return config_;
  }
  // Without the lock: a service that hangs must not make all who ask wait for each other.
  VALLM_ASSIGN_OR_RETURN(v1::ModelFiles config, client_.GetModelFiles(request_id));
  config.clear_tokenizer_json();
  MutexLock lock(config_mu_);
  config_ = config;
  config_fingerprint_ = info.files_fingerprint();
  return config;
}

absl::Status PromptTokenizer::CheckReady(absl::Duration timeout, const RequestId& request_id) {
  return has_copy() ? absl::OkStatus() : vocabulary_.Check(timeout, request_id);
}

}  // namespace vallm::gateway
