// Prometheus metrics of the tokenizer service. Thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_SERVICE_METRICS_H_
#define VALLM_TOKENIZER_SERVICE_SERVICE_METRICS_H_

#include <prometheus/registry.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vallm::tokenizer {

class ServiceMetrics {
 public:
  ServiceMetrics();
  ~ServiceMetrics();

  std::shared_ptr<prometheus::Registry> registry() const;

  // A call has ended.
  void OnCall(const char* method, absl::StatusCode code, absl::Duration time);
  void OnTokensEncoded(int64_t count);
  void OnTokensDecoded(int64_t count);
  // A ParseStream began or ended.
  void OnStreamBegin();
  void OnStreamEnd();
  // Large requests that wait for a thread.
  void OnQueue(size_t waiting);

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_SERVICE_METRICS_H_
