#include "gateway/transport.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"

namespace vallm::gateway {
namespace {

using std::chrono::milliseconds;

milliseconds Until(Transport::Clock::time_point deadline) {
  return std::chrono::ceil<milliseconds>(deadline - Transport::Clock::now());
}

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(int fd) : Transport(fd) {}

  ssize_t Read(char* out, size_t size, Clock::time_point deadline) override {
    const milliseconds left = Until(deadline);
    if (left.count() <= 0 || !PollFor(fd(), POLLIN, left)) return kTimedOut;
    const ssize_t n = ::recv(fd(), out, size, 0);
    return n < 0 ? kFailed : n;
  }

  ssize_t Write(const char* data, size_t size, milliseconds patience) override {
    for (;;) {
      const ssize_t n = ::send(fd(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n >= 0) return n;
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return kFailed;
      if (!PollFor(fd(), POLLOUT, patience)) return kTimedOut;
    }
  }

  void EndOutput() override { ::shutdown(fd(), SHUT_WR); }
};

std::string TlsError() {
  const unsigned long code = ERR_get_error();
  if (code == 0) return "the connection ended";
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? absl::StrCat("error ", code) : reason;
}

class TlsTransport final : public Transport {
 public:
  TlsTransport(int fd, std::shared_ptr<SSL_CTX> context)
      : Transport(fd), context_(std::move(context)), ssl_(SSL_new(context_.get())) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    SSL_set_fd(ssl_, fd);
  }
  ~TlsTransport() override { SSL_free(ssl_); }

  absl::Status Accept(Clock::time_point deadline) {
    for (;;) {
      ERR_clear_error();
      const int result = SSL_accept(ssl_);
      if (result == 1) return absl::OkStatus();
      const Step step = AfterError(result, Until(deadline));
      if (step == Step::kAgain) continue;
      if (step == Step::kTimedOut) return absl::DeadlineExceededError("no TLS handshake in time");
      const bool http = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
      if (http) return absl::InvalidArgumentError("plain HTTP");
      return absl::UnauthenticatedError(TlsError());
    }
  }

  ssize_t Read(char* out, size_t size, Clock::time_point deadline) override {
    for (;;) {
      if (broken_) return kFailed;
      ERR_clear_error();
      const int n = SSL_read(ssl_, out, static_cast<int>(std::min<size_t>(size, INT_MAX)));
      if (n > 0) return n;
      switch (AfterError(n, Until(deadline))) {
        case Step::kAgain:
          continue;
        case Step::kTimedOut:
          return kTimedOut;
        case Step::kEnd:
          return 0;
        case Step::kFailed:
          return kFailed;
      }
    }
  }

  ssize_t Write(const char* data, size_t size, milliseconds patience) override {
    for (;;) {
      if (broken_) return kFailed;
      ERR_clear_error();
      const int n = SSL_write(ssl_, data, static_cast<int>(std::min<size_t>(size, INT_MAX)));
      if (n > 0) return n;
      const Step step = AfterError(n, patience);
      if (step == Step::kAgain) continue;
      // What OpenSSL has begun to send cannot be taken back: who has waited in vain gives up. One
      // who merely tried comes again with it.
      if (step != Step::kTimedOut || patience.count() > 0) broken_ = true;
      return step == Step::kTimedOut ? kTimedOut : kFailed;
    }
  }

  bool HasBuffered() const override { return SSL_pending(ssl_) > 0; }

  void EndOutput() override {
    if (!broken_ && SSL_is_init_finished(ssl_) != 0) {
      ERR_clear_error();
      SSL_shutdown(ssl_);
    }
    ::shutdown(fd(), SHUT_WR);
  }

 private:
  enum class Step { kAgain, kTimedOut, kEnd, kFailed };

  // What to do after a call returned `result`; waits for the socket if that is what it needs.
  Step AfterError(int result, milliseconds patience) {
    const int error = SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      const short events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
      if (patience.count() <= 0 || !PollFor(fd(), events, patience)) return Step::kTimedOut;
      return Step::kAgain;
    }
    if (error == SSL_ERROR_ZERO_RETURN) return Step::kEnd;
    broken_ = true;
    return Step::kFailed;
  }

  const std::shared_ptr<SSL_CTX> context_;
  SSL* const ssl_;
  bool broken_ = false;
};

}  // namespace

bool PollFor(int fd, short events, milliseconds timeout) {
  pollfd entry{.fd = fd, .events = events, .revents = 0};
  int result;
  do {
    result = ::poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(timeout.count(), 0, INT_MAX)));
  } while (result < 0 && errno == EINTR);
  return result > 0;
}

bool PeerClosed(int fd) {
  pollfd entry{.fd = fd, .events = POLLRDHUP, .revents = 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

std::unique_ptr<Transport> MakePlainTransport(int fd) {
  return std::make_unique<PlainTransport>(fd);
}

absl::StatusOr<std::unique_ptr<Transport>> AcceptTls(int fd, std::shared_ptr<SSL_CTX> context,
                                                     Transport::Clock::time_point deadline) {
  auto transport = std::make_unique<TlsTransport>(fd, std::move(context));
  if (absl::Status status = transport->Accept(deadline); !status.ok()) return status;
  return transport;
}

}  // namespace vallm::gateway
