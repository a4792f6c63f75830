// One log line per RPC of the tokenizer service.
#ifndef VALLM_TOKENIZER_SERVICE_REQUEST_LOG_H_
#define VALLM_TOKENIZER_SERVICE_REQUEST_LOG_H_

#include <grpcpp/server_context.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vallm::tokenizer {

// Taken when a request arrives, written when it ends. Not thread-safe.
class RequestLog {
 public:
  // `method` is the RPC's name. The request id is the client's metadata "x-request-id".
  RequestLog(const char* method, const grpc::CallbackServerContext& context);

  // Writes the line: method, request id, tokens that went in or out, time, and the error if any.
  void Write(const absl::Status& status, int64_t token_count) const;

 private:
  const char* const method_;
  const std::string request_id_;
  const absl::Time start_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_REQUEST_LOG_H_
