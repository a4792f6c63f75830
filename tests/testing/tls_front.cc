#include "tests/testing/tls_front.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace vallm::testing {
namespace {

constexpr int kLookEveryMs = 20;

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

// One direction's next piece; false at the end.
bool FromClient(SSL* tls, int backend) {
  char bytes[4096];
  do {
    const int n = SSL_read(tls, bytes, sizeof bytes);
    if (n <= 0 || send(backend, bytes, static_cast<size_t>(n), MSG_NOSIGNAL) != n) return false;
  } while (SSL_pending(tls) > 0);
  return true;
}

bool FromBackend(SSL* tls, int backend) {
  char bytes[4096];
  const ssize_t n = recv(backend, bytes, sizeof bytes, 0);
  return n > 0 && SSL_write(tls, bytes, static_cast<int>(n)) == n;
}

}  // namespace

TlsFront::TlsFront(const std::string& cert, const std::string& key, int backend_port)
    : context_(SSL_CTX_new(TLS_server_method())), backend_port_(backend_port) {
  EXPECT_EQ(SSL_CTX_use_certificate_chain_file(context_, cert.c_str()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM), 1);
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(listener_, 16), 0);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

TlsFront::~TlsFront() {
  stopped_ = true;
  acceptor_.join();
  for (std::thread& connection : connections_) connection.join();
  close(listener_);
  SSL_CTX_free(context_);
}

void TlsFront::Accept() {
  pollfd ready = {.fd = listener_, .events = POLLIN, .revents = 0};
  while (!stopped_) {
    if (poll(&ready, 1, kLookEveryMs) <= 0) continue;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) connections_.emplace_back([this, client] { Serve(client); });
  }
}

void TlsFront::Serve(int client) const {
  SSL* const tls = SSL_new(context_);
  SSL_set_fd(tls, client);
  const int backend = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(backend_port_);
  bool open = SSL_accept(tls) == 1 &&
              connect(backend, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  pollfd sides[] = {{.fd = client, .events = POLLIN, .revents = 0},
                    {.fd = backend, .events = POLLIN, .revents = 0}};
  while (open && !stopped_) {
    if (poll(sides, 2, kLookEveryMs) <= 0) continue;
    if (sides[0].revents != 0) open = FromClient(tls, backend);
    if (open && sides[1].revents != 0) open = FromBackend(tls, backend);
  }
  SSL_free(tls);
  close(client);
  close(backend);
}

}  // namespace vallm::testing
