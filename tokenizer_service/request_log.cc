#include "tokenizer_service/request_log.h"

#include <glog/logging.h>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

namespace vallm::tokenizer {
namespace {

std::string RequestId(const grpc::CallbackServerContext& context) {
  const auto it = context.client_metadata().find("x-request-id");
  if (it == context.client_metadata().end()) return "-";
  // The id is the client's to choose: it may not break the line.
  return absl::CEscape(absl::string_view(it->second.data(), it->second.size()).substr(0, 128));
}

}  // namespace

RequestLog::RequestLog(const char* method, const grpc::CallbackServerContext& context)
    : method_(method), request_id_(RequestId(context)), start_(absl::Now()) {}

void RequestLog::Write(const absl::Status& status, int64_t token_count) const {
  const int64_t micros = absl::ToInt64Microseconds(absl::Now() - start_);
  LOG(INFO) << method_ << " request=" << request_id_ << " tokens=" << token_count
            << " us=" << micros << " status=" << absl::CEscape(status.ToString());
}

}  // namespace vallm::tokenizer
