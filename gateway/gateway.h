// The whole gateway: both ports, the routes and what is behind them. main.cc runs one; tests run
// several in a process.
#ifndef VALLM_GATEWAY_GATEWAY_H_
#define VALLM_GATEWAY_GATEWAY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/options.h"

namespace vallm::gateway {

class Gateway {
 public:
  // Listens at once; not ready until an engine instance and the tokenizer are reachable.
  // Errors: UNAVAILABLE when a port cannot be bound, INVALID_ARGUMENT for options that make no
  // sense; those of files that they name.
  static absl::StatusOr<std::unique_ptr<Gateway>> Start(GatewayOptions options);
  // Stops without waiting for running answers: call Drain first.
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // The routes of the API's port, as "GET /v1/models/": what /openapi.json has to describe.
  std::vector<std::string> endpoints() const;

  int port() const;
  int management_port() const;

  // Turns not ready, refuses new generations with 503, waits for running answers up to the drain
  // time-out, ends the rest with an error frame and, seconds later, cuts what takes none.
  void Drain();

 private:
  struct Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GATEWAY_H_
