// The bytes of one connection, plain or through TLS. Every call waits as long as it is told to and
// no longer. Used by one thread at a time; does not own the socket.
#ifndef VALLM_GATEWAY_TRANSPORT_H_
#define VALLM_GATEWAY_TRANSPORT_H_

#include <openssl/ssl.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"

namespace vallm::gateway {

// Waits for `events` of poll(2). False on time-out or error.
bool PollFor(int fd, short events, std::chrono::milliseconds timeout);

// True once the peer has closed or half-closed, even when unread bytes wait before the end.
bool PeerClosed(int fd);

class Transport {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr ssize_t kFailed = -1;
  static constexpr ssize_t kTimedOut = -2;

  explicit Transport(int fd) : fd_(fd) {}
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  int fd() const { return fd_; }

  // How many bytes came, at least one; 0 at their end; kFailed; kTimedOut.
  virtual ssize_t Read(char* out, size_t size, Clock::time_point deadline) = 0;
  // How many bytes went, at least one; kFailed; kTimedOut when none could for `patience`. After a
  // time-out the same bytes must come first again; through TLS one after a wait is the end.
  virtual ssize_t Write(const char* data, size_t size, std::chrono::milliseconds patience) = 0;
  // Whether bytes that have come are not on the socket any more but here.
  virtual bool HasBuffered() const { return false; }
  // Tells the peer that nothing more comes.
  virtual void EndOutput() = 0;

 private:
  const int fd_;
};

std::unique_ptr<Transport> MakePlainTransport(int fd);

// Shakes hands. Errors: DEADLINE_EXCEEDED; INVALID_ARGUMENT when the peer speaks no TLS but HTTP;
// UNAUTHENTICATED for anything else that goes wrong.
absl::StatusOr<std::unique_ptr<Transport>> AcceptTls(int fd, std::shared_ptr<SSL_CTX> context,
                                                     Transport::Clock::time_point deadline);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_TRANSPORT_H_
