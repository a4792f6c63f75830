// Speaks TLS in front of a server of this machine that does not: every connection is taken, its
// bytes passed on to the port and back.
#ifndef VALLM_TESTS_TESTING_TLS_FRONT_H_
#define VALLM_TESTS_TESTING_TLS_FRONT_H_

#include <openssl/ssl.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace vallm::testing {

class TlsFront {
 public:
  // `cert` and `key` are files of PEM.
  TlsFront(const std::string& cert, const std::string& key, int backend_port);
  ~TlsFront();  // ends all connections

  int port() const { return port_; }

 private:
  void Accept();
  void Serve(int client) const;

  SSL_CTX* const context_;
  const int backend_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopped_ = false;
  std::thread acceptor_;
  std::vector<std::thread> connections_;  // of the acceptor
};

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_TLS_FRONT_H_
