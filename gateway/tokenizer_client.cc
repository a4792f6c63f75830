#include "gateway/tokenizer_client.h"

#include <glog/logging.h>
#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "common/grpc_channel.h"
#include "common/grpc_status.h"
#include "gateway/call_metadata.h"

namespace vallm::gateway {
namespace {

// Of one try. Ten times what the longest conversation takes.
constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr absl::Duration kRetryDelay = absl::Milliseconds(20);
// Of GetModelFiles, which is called where GetInfo has just been answered: ten megabytes.
constexpr absl::Duration kFilesConnectTimeout = absl::Milliseconds(500);
constexpr absl::Duration kFilesTimeout = absl::Seconds(5);

using Stub = v1::Tokenizer::Stub;

// One try, once there is a connection. Errors also: UNAVAILABLE when there is none by `connect_by`.
template <typename Request, typename Response>
absl::StatusOr<Response> TryOnce(grpc::Channel& channel, Stub& stub,
                                 grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                                 const Request& request, const RequestId& request_id,
                                 absl::Time connect_by, absl::Duration timeout) {
  if (!channel.WaitForConnected(absl::ToChronoTime(connect_by))) {
    return absl::UnavailableError("no connection");
  }
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  AddMetadata(request_id, context);
  Response response;
  const absl::Status status = FromGrpc((stub.*method)(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

absl::Status Unavailable() {
  return absl::UnavailableError("the tokenizer service is unavailable");
}

}  // namespace

TokenizerClient::TokenizerClient(const std::string& address, absl::Duration patience,
                                 const TlsFiles& tls)
    : patience_(patience),
      channel_(NewChannel(address, tls)),
      stub_(v1::Tokenizer::NewStub(channel_)) {}

template <typename Request, typename Response>
absl::StatusOr<Response> TokenizerClient::Call(
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
    const Request& request, const RequestId& request_id) {
  const absl::Time deadline = absl::Now() + patience_;
  for (;;) {
    absl::StatusOr<Response> response =
        TryOnce(*channel_, *stub_, method, request, request_id, deadline, kTimeout);
    // Nobody here cancels a call: a service that stops does.
    const bool unavailable =
        absl::IsUnavailable(response.status()) || absl::IsCancelled(response.status());
    if (!unavailable && !absl::IsDeadlineExceeded(response.status())) return response;
    if (!unavailable || absl::Now() >= deadline) {
      LOG(WARNING) << "request " << request_id << ": tokenizer: " << response.status();
      return Unavailable();
    }
    absl::SleepFor(kRetryDelay);
  }
}

absl::StatusOr<v1::RenderChatResponse> TokenizerClient::RenderChat(
    const v1::RenderChatRequest& request, const RequestId& request_id) {
  return Call(&Stub::RenderChat, request, request_id);
}

absl::StatusOr<v1::CountTokensResponse> TokenizerClient::CountTokens(
    const v1::CountTokensRequest& request, const RequestId& request_id) {
  return Call(&Stub::CountTokens, request, request_id);
}

absl::StatusOr<v1::EncodeResponse> TokenizerClient::Encode(const v1::EncodeRequest& request,
                                                           const RequestId& request_id) {
  return Call(&Stub::Encode, request, request_id);
}

absl::StatusOr<v1::DecodeResponse> TokenizerClient::Decode(const v1::DecodeRequest& request,
                                                           const RequestId& request_id) {
  return Call(&Stub::Decode, request, request_id);
}

absl::StatusOr<v1::GetTokenBytesResponse> TokenizerClient::GetTokenBytes(
    const v1::GetTokenBytesRequest& request, const RequestId& request_id) {
  return Call(&Stub::GetTokenBytes, request, request_id);
}

absl::StatusOr<v1::TokenizerInfo> TokenizerClient::GetInfo(absl::Duration timeout) {
  absl::StatusOr<v1::TokenizerInfo> info = TryOnce(
      *channel_, *stub_, &Stub::GetInfo, v1::GetInfoRequest(), "", absl::Now() + timeout, timeout);
  if (absl::IsUnavailable(info.status()) || absl::IsDeadlineExceeded(info.status()))
    return Unavailable();
  return info;
}

absl::StatusOr<v1::ModelFiles> TokenizerClient::GetModelFiles(const RequestId& request_id) {
  absl::StatusOr<v1::ModelFiles> files =
      TryOnce(*channel_, *stub_, &Stub::GetModelFiles, v1::GetModelFilesRequest(), request_id,
              absl::Now() + kFilesConnectTimeout, kFilesTimeout);
  if (absl::IsUnavailable(files.status()) || absl::IsDeadlineExceeded(files.status()) ||
      absl::IsCancelled(files.status()))
    return Unavailable();
  return files;
}

void TokenizerClient::ConnectSoon() {
  grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
}

}  // namespace vallm::gateway
