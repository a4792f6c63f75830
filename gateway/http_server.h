// The HTTP/1.1 server: cpp-httplib behind an interface of ours; http_server.cc is the only file
// that includes it.
//
// One thread serves one connection at a time. Threads are made as connections come, up to a limit;
// a connection beyond it takes the place of the one that has waited longest for a request. When all
// are busy it is answered 503 at once, so that nothing waits unseen. TLS is not part.
//
// What it guarantees beyond the library: pipelined requests are answered in order; a request's
// header must arrive within a time limit; a client that closes (or half-closes) its side counts as
// gone; the address is not shared with another process; exceptions of handlers become 500.
#ifndef VALLM_GATEWAY_HTTP_SERVER_H_
#define VALLM_GATEWAY_HTTP_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/http_message.h"

namespace vallm::gateway {

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0 picks a free one
  int max_connections = 1280;
  int64_t max_body_bytes = 64 << 20;
  // Header and body of a request must arrive within this, and a stalled reader is cut after it.
  absl::Duration read_timeout = absl::Seconds(30);
  absl::Duration write_timeout = absl::Seconds(30);
  // How long a connection may wait for its first request, and for each later one.
  absl::Duration first_byte_timeout = absl::Seconds(5);
  absl::Duration keep_alive_timeout = absl::Seconds(75);
};

class HttpServer {
 public:
  // Listens and serves in threads of its own. `service` must outlive the server.
  // Errors: UNAVAILABLE when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                           HttpService& service);
  // Stops and waits for the running requests: make them end first.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;

  // Takes no new connection and closes idle ones; running requests go on. Idempotent.
  void StopAccepting();

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_HTTP_SERVER_H_
