// What is counted and logged of one request of an RPC, whichever RPC it is.
#ifndef VALLM_ENGINE_SERVICE_CALL_RECORD_H_
#define VALLM_ENGINE_SERVICE_CALL_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine_service/engine_metrics.h"
#include "engine_service/request.h"

namespace vallm::engine {

// Used by one thread at a time; `metrics` must outlive it.
class CallRecord {
 public:
  // `log_name` is what the log calls the request.
  CallRecord(EngineMetrics& metrics, std::string log_name);

  void Refused(const absl::Status& status) const;
  void Accepting(const GenerationRequest& request);
  // So many have come at once.
  void Tokens(size_t count);
  void Finished(const Completion& completion) const;

 private:
  EngineMetrics& metrics_;
  const std::string log_name_;
  const absl::Time arrival_;
  int64_t prompt_tokens_ = 0;
  std::optional<int32_t> max_tokens_;
  std::optional<absl::Time> last_token_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CALL_RECORD_H_
