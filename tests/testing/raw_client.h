// A TCP connection that says exactly what it is told to, over TLS if wanted.
#ifndef VALLM_TESTS_TESTING_RAW_CLIENT_H_
#define VALLM_TESTS_TESTING_RAW_CLIENT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "gtest/gtest.h"

namespace vallm::testing {

class RawClient {
 public:
  explicit RawClient(int port, int receive_buffer = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~RawClient() { Close(); }

  // Everything goes through TLS from now on. `ca`, `cert` and `key` are PEM files; empty: the
  // server is not checked, none is shown. False when the handshake fails.
  bool StartTls(const std::string& ca = "", const std::string& cert = "",
                const std::string& key = "") {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    if (!ca.empty()) {
      SSL_CTX_load_verify_file(context, ca.c_str());
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    }
    if (!cert.empty()) {
      SSL_CTX_use_certificate_chain_file(context, cert.c_str());
      SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM);
    }
    tls_ = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(tls_, fd_);
    return SSL_connect(tls_) == 1;
  }
  // The name in the server's certificate.
  std::string ServerName() {
    X509* cert = SSL_get1_peer_certificate(tls_);
    char name[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
    X509_free(cert);
    return name;
  }

  bool Send(const std::string& bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const char* rest = bytes.data() + sent;
      const size_t left = bytes.size() - sent;
      const ssize_t n = tls_ != nullptr ? SSL_write(tls_, rest, static_cast<int>(left))
                                        : ::send(fd_, rest, left, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += static_cast<size_t>(n);
    }
    return true;
  }

  // Reads until `stop` appears, the peer closes, or nothing comes for `patience`.
  std::string ReadUntil(const std::string& stop,
                        std::chrono::milliseconds patience = std::chrono::seconds(10)) {
    while (received_.find(stop) == std::string::npos || stop.empty()) {
      pollfd entry{.fd = fd_, .events = POLLIN, .revents = 0};
      const bool waiting = tls_ != nullptr && SSL_pending(tls_) > 0;
      if (!waiting && ::poll(&entry, 1, static_cast<int>(patience.count())) <= 0) break;
      char buffer[65536];
      const ssize_t n = tls_ != nullptr ? SSL_read(tls_, buffer, sizeof(buffer))
                                        : ::recv(fd_, buffer, sizeof(buffer), 0);
      if (n <= 0) break;
      received_.append(buffer, static_cast<size_t>(n));
    }
    return received_;
  }
  // What comes next, at least a byte; empty when the peer has closed or nothing comes for
  // `patience`. Not with TLS, and not together with the other ways to read.
  std::string ReadSome(std::chrono::milliseconds patience = std::chrono::seconds(10)) const {
    pollfd entry{.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&entry, 1, static_cast<int>(patience.count())) <= 0) return "";
    char buffer[65536];
    const ssize_t n = ::recv(fd_, buffer, sizeof(buffer), 0);
    return n <= 0 ? "" : std::string(buffer, static_cast<size_t>(n));
  }
  std::string ReadAll() { return ReadUntil(""); }

  // Whether nothing arrives, not even the end.
  bool StaysOpenFor(std::chrono::milliseconds patience) {
    pollfd entry{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&entry, 1, static_cast<int>(patience.count())) == 0;
  }

  void Close() {
    if (tls_ != nullptr) SSL_free(tls_);
    tls_ = nullptr;
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void HalfClose() { ::shutdown(fd_, SHUT_WR); }
  // Closes with a reset.
  void Reset() {
    const linger now = {.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    Close();
  }

 private:
  int fd_;
  SSL* tls_ = nullptr;
  std::string received_;
};

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_RAW_CLIENT_H_
