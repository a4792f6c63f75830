// A TCP connection that never blocks, with or without TLS. Not thread-safe.
#ifndef VALLM_TOOLS_LOAD_CLIENT_STREAM_SOCKET_H_
#define VALLM_TOOLS_LOAD_CLIENT_STREAM_SOCKET_H_

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tools/load_client/server_address.h"

namespace vallm::tools {

struct FreeSslContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeSslContext>;

// What clients of `address` share; null without TLS. With `verify` a server must have a certificate
// for its name, from an authority of the system or of `ca_file` (PEM; empty: none).
// Errors: INVALID_ARGUMENT when ca_file cannot be used.
absl::StatusOr<SslContext> MakeSslContext(const ServerAddress& address, bool verify,
                                          const std::string& ca_file);

class StreamSocket {
 public:
  enum class Progress {
    kDone,       // as far as asked
    kWantRead,   // again when the descriptor is readable
    kWantWrite,  // again when it is writable
    kClosed,     // the peer has closed it in order
    kFailed,     // error() says why
  };

  // Begins to connect; `ssl_context` must outlive it. Errors: UNAVAILABLE.
  static absl::StatusOr<std::unique_ptr<StreamSocket>> Connect(const ServerAddress& address,
                                                               SSL_CTX* ssl_context);
  ~StreamSocket();
  StreamSocket(const StreamSocket&) = delete;
  StreamSocket& operator=(const StreamSocket&) = delete;

  int descriptor() const { return descriptor_; }
  const std::string& error() const { return error_; }

  // Goes on with connecting and the TLS handshake, kDone once both are done. kWantWrite at first.
  Progress Handshake();
  // Writes from the front of `*bytes` and removes what was written.
  Progress Write(std::string_view* bytes);
  // Reads up to `capacity` bytes; kDone: *size of them, at least one, are there.
  Progress Read(char* buffer, size_t capacity, size_t* size);

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  explicit StreamSocket(int descriptor) : descriptor_(descriptor) {}
  Progress SystemFailure();
  Progress SslProgress(int result);

  const int descriptor_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  bool connected_ = false;
  bool handshaken_ = false;
  std::string error_;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_LOAD_CLIENT_STREAM_SOCKET_H_
