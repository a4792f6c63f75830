// The HTTP/1.1 server: cpp-httplib behind an interface of ours; http_server.cc is the only file
// that includes it.
//
// One thread serves one connection at a time. Threads are made as connections come, up to a limit;
// a connection beyond it takes the place of the one that has waited longest for a request. When all
// are busy it is answered 503 at once, so that nothing waits unseen. With a TlsContext it speaks
// HTTPS; what cannot be said before the handshake (503, 429) is a closed connection then.
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

class TlsContext;  // tls_context.h

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0 picks a free one
  int max_connections = 1280;
  int64_t max_body_bytes = 64 << 20;
  int max_connections_per_client = 0;  // from one address; 0: no limit
  int max_header_bytes = 64 << 10;     // of a request, its first line included
  // A request's header must have come after this, and its body after the next, to which every byte
  // adds what it takes at `min_body_rate` (bytes per second; 0: nothing).
  absl::Duration header_timeout = absl::Seconds(10);
  absl::Duration read_timeout = absl::Seconds(30);
  int64_t min_body_rate = 1024;
  // A client that takes nothing for so long is cut off.
  absl::Duration write_timeout = absl::Seconds(30);
  // How long a connection may wait for its first request, and for each later one.
  absl::Duration first_byte_timeout = absl::Seconds(5);
  absl::Duration keep_alive_timeout = absl::Seconds(75);
  std::shared_ptr<const TlsContext> tls = nullptr;  // null: plain HTTP
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

  // Breaks all connections, whatever they are about to say. Call after StopAccepting.
  void CutConnections();

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_HTTP_SERVER_H_
