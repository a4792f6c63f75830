#include "gateway/tokenizer_client.h"

#include <glog/logging.h>
#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "common/grpc_channel.h"
#include "common/grpc_status.h"

namespace vallm::gateway {
namespace {

// Ten times what the longest conversation takes.
constexpr absl::Duration kTimeout = absl::Seconds(10);

using Stub = v1::Tokenizer::Stub;

template <typename Request, typename Response>
absl::StatusOr<Response> Call(
    Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
    const Request& request, const std::string& request_id, absl::Duration timeout) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  if (!request_id.empty()) context.AddMetadata("x-request-id", request_id);
  Response response;
  const absl::Status status = FromGrpc((stub.*method)(&context, request, &response));
  if (status.ok()) return response;
  if (absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status)) {
    if (!request_id.empty()) {
      LOG(WARNING) << "request " << request_id << ": tokenizer: " << status;
    }
    return absl::UnavailableError("the tokenizer service is unavailable");
  }
  return status;
}

}  // namespace

TokenizerClient::TokenizerClient(const std::string& address)
    : stub_(v1::Tokenizer::NewStub(NewChannel(address))) {}

absl::StatusOr<v1::RenderChatResponse> TokenizerClient::RenderChat(
    const v1::RenderChatRequest& request, const std::string& request_id) {
  return Call(*stub_, &Stub::RenderChat, request, request_id, kTimeout);
}

absl::StatusOr<v1::EncodeResponse> TokenizerClient::Encode(const v1::EncodeRequest& request,
                                                           const std::string& request_id) {
  return Call(*stub_, &Stub::Encode, request, request_id, kTimeout);
}

absl::StatusOr<v1::DecodeResponse> TokenizerClient::Decode(const v1::DecodeRequest& request,
                                                           const std::string& request_id) {
  return Call(*stub_, &Stub::Decode, request, request_id, kTimeout);
}

absl::StatusOr<v1::GetTokenBytesResponse> TokenizerClient::GetTokenBytes(
    const v1::GetTokenBytesRequest& request, const std::string& request_id) {
  return Call(*stub_, &Stub::GetTokenBytes, request, request_id, kTimeout);
}

absl::StatusOr<v1::TokenizerInfo> TokenizerClient::GetInfo(absl::Duration timeout) {
  return Call(*stub_, &Stub::GetInfo, v1::GetInfoRequest(), "", timeout);
}

}  // namespace vallm::gateway
