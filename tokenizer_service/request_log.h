// One log line per RPC of the tokenizer service, and its metrics.
#ifndef VALLM_TOKENIZER_SERVICE_REQUEST_LOG_H_
#define VALLM_TOKENIZER_SERVICE_REQUEST_LOG_H_

#include <grpcpp/server_context.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tokenizer_service/service_metrics.h"

namespace vallm::tokenizer {

// What becomes of a call's tokens.
enum class TokenUse { kEncoded, kDecoded, kNeither };

// Taken when a request arrives, written when it ends. Not thread-safe.
class RequestLog {
 public:
  // `method` is the RPC's name. The request id is the client's metadata "x-request-id". `metrics`
  // must outlive the log. `quiet`: writes only errors.
  RequestLog(const char* method, TokenUse use, const grpc::CallbackServerContext& context,
             ServiceMetrics& metrics, bool quiet = false);

  // Counts the call and writes the line: method, request id, tokens that went in or out, time, and
  // the error if any.
  void Write(const absl::Status& status, int64_t token_count) const;

 private:
  const char* method_;
  TokenUse use_;
  bool quiet_;
  std::string request_id_;
  absl::Time start_;
  ServiceMetrics* metrics_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_REQUEST_LOG_H_
