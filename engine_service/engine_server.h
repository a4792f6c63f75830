// vallm.v1.Engine over gRPC: speaks RPC, decides nothing. Health is that of the engine.
#ifndef VALLM_ENGINE_SERVICE_ENGINE_SERVER_H_
#define VALLM_ENGINE_SERVICE_ENGINE_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/grpc_server.h"
#include "engine_service/engine.h"
#include "engine_service/engine_metrics.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::engine {

class EngineServer {
 public:
  // Serves `engine` at `address`. `tokenizer` is for text prompts and may be null. All arguments
  // must outlive the server. Errors: those of GrpcServer::Start.
  static absl::StatusOr<std::unique_ptr<EngineServer>> Start(const std::string& address,
                                                             Engine& engine, EngineMetrics& metrics,
                                                             const tokenizer::Tokenizer* tokenizer,
                                                             const TlsFiles& tls = {});
  // Stops without grace.
  ~EngineServer();

  int port() const;

  // Takes no more requests, lets those that run end for up to `grace`, then stops engine and
  // server.
  void Drain(absl::Duration grace);

 private:
  class Service;
  struct Parts;
  explicit EngineServer(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_ENGINE_SERVER_H_
