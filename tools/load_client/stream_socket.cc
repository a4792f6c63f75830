#include "tools/load_client/stream_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace vallm::tools {
namespace {

std::string SslReason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "TLS error" : reason;
}

bool IsNumericAddress(const std::string& host) {
  in6_addr parsed;
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

}  // namespace

absl::StatusOr<SslContext> MakeSslContext(const ServerAddress& address, bool verify,
                                          const std::string& ca_file) {
  if (!address.tls) return SslContext();
  SslContext context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_default_verify_paths(context.get());
  if (!ca_file.empty() &&
      SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read certificates from ", ca_file, ": ", SslReason()));
  }
  SSL_CTX_set_verify(context.get(), verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  return context;
}

absl::StatusOr<std::unique_ptr<StreamSocket>> StreamSocket::Connect(const ServerAddress& address,
                                                                    SSL_CTX* ssl_context) {
  const int descriptor =
      socket(address.socket_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) {
    return absl::UnavailableError(absl::StrCat("cannot open a socket: ", std::strerror(errno)));
  }
  std::unique_ptr<StreamSocket> stream(new StreamSocket(descriptor));
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address.socket_address),
              address.socket_address_size) != 0 &&
      errno != EINPROGRESS) {
    return absl::UnavailableError(
        absl::StrCat("cannot connect to ", address.Authority(), ": ", std::strerror(errno)));
  }
  if (ssl_context != nullptr) {
    stream->ssl_.reset(SSL_new(ssl_context));
    SSL* const ssl = stream->ssl_.get();
    SSL_set_fd(ssl, descriptor);
    SSL_set_connect_state(ssl);
    if (IsNumericAddress(address.host)) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address.host.c_str());
    } else {
      SSL_set_tlsext_host_name(ssl, address.host.c_str());
      SSL_set1_host(ssl, address.host.c_str());
    }
  }
  return stream;
}

StreamSocket::~StreamSocket() {
  ssl_.reset();
  close(descriptor_);
}

StreamSocket::Progress StreamSocket::SystemFailure() {
  error_ = std::strerror(errno);
  return Progress::kFailed;
}

StreamSocket::Progress StreamSocket::SslProgress(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Progress::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Progress::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Progress::kClosed;
    case SSL_ERROR_SYSCALL:
      if (errno != 0) return SystemFailure();
      return Progress::kClosed;
    default:
      error_ = SslReason();
      return Progress::kFailed;
  }
}

StreamSocket::Progress StreamSocket::Handshake() {
  if (!connected_) {
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      errno = error;
      return SystemFailure();
    }
    sockaddr_storage peer;
    size = sizeof(peer);
    if (getpeername(descriptor_, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
      return errno == ENOTCONN ? Progress::kWantWrite : SystemFailure();
    }
    connected_ = true;
  }
  if (ssl_ == nullptr || handshaken_) return Progress::kDone;
  errno = 0;
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) return SslProgress(result);
  handshaken_ = true;
  return Progress::kDone;
}

StreamSocket::Progress StreamSocket::Write(std::string_view* bytes) {
  while (!bytes->empty()) {
    if (ssl_ != nullptr) {
      errno = 0;
      const int size = static_cast<int>(std::min<size_t>(bytes->size(), INT_MAX));
      const int written = SSL_write(ssl_.get(), bytes->data(), size);
      if (written <= 0) return SslProgress(written);
      bytes->remove_prefix(static_cast<size_t>(written));
    } else {
      const ssize_t written = send(descriptor_, bytes->data(), bytes->size(), MSG_NOSIGNAL);
      if (written < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return Progress::kWantWrite;
        if (errno == EINTR) continue;
        return SystemFailure();
      }
      bytes->remove_prefix(static_cast<size_t>(written));
    }
  }
  return Progress::kDone;
}

StreamSocket::Progress StreamSocket::Read(char* buffer, size_t capacity, size_t* size) {
  if (ssl_ != nullptr) {
    errno = 0;
    const int got = SSL_read(ssl_.get(), buffer, static_cast<int>(capacity));
    if (got <= 0) return SslProgress(got);
    *size = static_cast<size_t>(got);
    return Progress::kDone;
  }
  const ssize_t got = recv(descriptor_, buffer, capacity, 0);
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return Progress::kWantRead;
    return SystemFailure();
  }
  *size = static_cast<size_t>(got);
  return got == 0 ? Progress::kClosed : Progress::kDone;
}

}  // namespace vallm::tools
