#include "engine_service/call_record.h"

#include <glog/logging.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine_service/convert.h"

namespace vallm::engine {

CallRecord::CallRecord(EngineMetrics& metrics, std::string log_name)
    : metrics_(metrics), log_name_(std::move(log_name)), arrival_(absl::Now()) {}

void CallRecord::Refused(const absl::Status& status) const {
  LOG(INFO) << "request " << log_name_ << " refused: " << status;
}

void CallRecord::Accepting(const GenerationRequest& request) {
  prompt_tokens_ = static_cast<int64_t>(request.prompt_ids.size());
  max_tokens_ = request.max_tokens;
}

void CallRecord::Tokens(size_t count) {
  if (count == 0) return;
  const absl::Time now = absl::Now();
  std::optional<absl::Duration> since_last;
  if (last_token_.has_value()) {
    since_last = now - *last_token_;
  } else {
    metrics_.OnFirstToken(prompt_tokens_, now - arrival_);
  }
  metrics_.OnTokens(static_cast<int>(count), since_last);
  last_token_ = now;
}

void CallRecord::Finished(const Completion& completion) const {
  const absl::Duration total = absl::Now() - arrival_;
  metrics_.OnFinish(completion, max_tokens_, total);
  const Usage& usage = completion.usage;
  LOG(INFO) << "request " << log_name_ << " "
            << (completion.status.ok()
                    ? v1::FinishReason_Name(ToProto(completion.reason))
                    : std::string(absl::StatusCodeToString(completion.status.code())))
            << ": prompt " << usage.prompt_tokens << ", completion " << usage.completion_tokens
            << " tokens; queue " << absl::FormatDuration(usage.queue_time) << ", prefill "
            << absl::FormatDuration(usage.prefill_time) << ", decode "
            << absl::FormatDuration(usage.decode_time) << ", total " << absl::FormatDuration(total)
            << (completion.status.ok() ? "" : absl::StrCat("; ", completion.status.message()));
}

}  // namespace vallm::engine
