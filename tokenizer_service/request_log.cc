#include "tokenizer_service/request_log.h"

#include <glog/logging.h>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "common/grpc_status.h"

namespace vallm::tokenizer {
namespace {

std::string RequestId(const grpc::CallbackServerContext& context) {
  const auto it = context.client_metadata().find("x-request-id");
  if (it == context.client_metadata().end()) return "-";
  // The id is the client's to choose: it may not break the line.
  return absl::CEscape(absl::string_view(it->second.data(), it->second.size()).substr(0, 128));
}

}  // namespace

RequestLog::RequestLog(const char* method, TokenUse use, const grpc::CallbackServerContext& context,
                       ServiceMetrics& metrics, bool quiet)
    : method_(method),
      use_(use),
      quiet_(quiet),
      request_id_(RequestId(context)),
      start_(absl::Now()),
      metrics_(&metrics) {}

void RequestLog::Write(const absl::Status& status, int64_t token_count) const {
  const absl::Duration time = absl::Now() - start_;
  metrics_->OnCall(method_, status.code(), time);
  if (use_ == TokenUse::kEncoded) metrics_->OnTokensEncoded(token_count);
  if (use_ == TokenUse::kDecoded) metrics_->OnTokensDecoded(token_count);
  if (quiet_ && status.ok()) return;
  // What the client is told: a message may quote a whole request.
  LOG(INFO) << method_ << " request=" << request_id_ << " tokens=" << token_count
            << " us=" << absl::ToInt64Microseconds(time)
            << " status=" << absl::CEscape(FromGrpc(ToGrpc(status)).ToString());
}

}  // namespace vallm::tokenizer
