// A gRPC server as every service of this project runs it: health, reflection, message limits and
// a drain. It owns the listening socket, not the services.
//
// Thread-safe. Health starts as NOT_SERVING.
#ifndef VALLM_COMMON_GRPC_SERVER_H_
#define VALLM_COMMON_GRPC_SERVER_H_

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tls_files.h"

namespace vallm {

// A service and the full name under which health reports it, e.g. "vallm.v1.Engine".
struct NamedService {
  std::string name;
  grpc::Service* service;  // must outlive the server
};

class GrpcServer {
 public:
  // Starts to listen on `address`: "host:port" (port 0 picks a free one) or "unix:/path". A unix
  // socket left behind by a dead process is replaced.
  // With `tls.cert` and `tls.key` it speaks TLS, with `tls.ca` only to clients that show a
  // certificate of those authorities; the files are read again when they change.
  // Errors: UNAVAILABLE when the address cannot be bound (in use, no permission); INVALID_ARGUMENT
  // for TLS on a unix socket; those of CheckTlsFiles.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const std::string& address, const std::vector<NamedService>& services,
      const TlsFiles& tls = {});
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  // The TCP port that is bound; 0 for a unix socket.
  int port() const { return port_; }

  // What health answers for "" and for every service.
  void SetServing(bool serving);

  // Refuses new calls, waits up to `grace` for running ones, cancels the rest and returns when all
  // have ended. Idempotent.
  void Shutdown(absl::Duration grace);

 private:
  GrpcServer(std::unique_ptr<grpc::Server> server, int port, std::vector<std::string> names);

  std::unique_ptr<grpc::Server> server_;
  const int port_;
  const std::vector<std::string> service_names_;
};

}  // namespace vallm

#endif  // VALLM_COMMON_GRPC_SERVER_H_
