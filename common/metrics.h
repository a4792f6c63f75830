// Prometheus metrics of a process: one registry and its text form. The gateway serves the text over
// its own HTTP server; gRPC services use MetricsServer.
#ifndef VALLM_COMMON_METRICS_H_
#define VALLM_COMMON_METRICS_H_

#include <prometheus/registry.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace vallm {

// The registry in Prometheus' text exposition format 0.0.4.
std::string MetricsText(const prometheus::Registry& registry);

// Serves GET /metrics of one registry at "host:port" until destroyed.
class MetricsServer {
 public:
  // Errors: UNAVAILABLE when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const std::string& address, std::shared_ptr<prometheus::Registry> registry);
  ~MetricsServer();

 private:
  struct Impl;
  explicit MetricsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vallm

#endif  // VALLM_COMMON_METRICS_H_
