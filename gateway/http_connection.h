// One connection of the HTTP server.
#ifndef VALLM_GATEWAY_HTTP_CONNECTION_H_
#define VALLM_GATEWAY_HTTP_CONNECTION_H_

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gateway/arrival_clock.h"
#include "gateway/http_library.h"
#include "gateway/http_message.h"
#include "gateway/http_server.h"
#include "gateway/transport.h"

namespace vallm::gateway {

// One connection as a stream. Unlike the library's own, it keeps what was read ahead from one
// request to the next (pipelining), bounds the time a request may take to arrive, and may be TLS.
class Connection final : public httplib::Stream {
 public:
  Connection(std::unique_ptr<Transport> transport, const HttpServerOptions& options)
      : transport_(std::move(transport)),
        max_header_bytes_(static_cast<size_t>(options.max_header_bytes)),
        write_timeout_(absl::ToChronoMilliseconds(options.write_timeout)),
        arrival_(options.header_timeout, options.read_timeout, options.min_body_rate) {}

  // Starts the clock of a request's arrival.
  void BeginRequest();
  // Its header has been read.
  void BeginBody(httplib::Request* header) {
    request = header;
    arrival_.BeginBody(std::chrono::steady_clock::now());
  }
  // The request's header as it came. Complete once the library asks for the request's set-up.
  const std::string& head() const { return head_; }
  // The HTTP status of a header that came too slowly or is too large; 0: neither.
  int header_refusal() const { return header_refusal_; }
  // What to answer a request of which the library has given up the first line without a word; 0:
  // nothing.
  int silent_refusal() const;
  // Whether the body did not come in time.
  bool timed_out() const { return error_ == httplib::Error::Timeout; }
  bool buffered() const { return begin_ < end_ || transport_->HasBuffered(); }
  int fd() const { return transport_->fd(); }
  Transport& transport() { return *transport_; }
  std::chrono::milliseconds write_timeout() const { return write_timeout_; }

  bool is_readable() const override { return buffered(); }
  bool wait_readable() const override;
  bool wait_writable() const override { return PollFor(fd(), POLLOUT, write_timeout_); }
  bool is_peer_alive() const override { return !PeerClosed(fd()); }

  ssize_t read(char* out, size_t size) override;
  ssize_t write(const char* data, size_t size) override;

  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    httplib::detail::get_remote_ip_and_port(fd(), ip, port);
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    httplib::detail::get_local_ip_and_port(fd(), ip, port);
  }
  socket_t socket() const override { return fd(); }
  time_t duration() const override { return 0; }

  // Of the request in hand. The library sees "/" instead of the path: its matching by regular
  // expressions would overflow the stack on a long one.
  std::string path;
  int refusal = 0;  // the HTTP status that its header calls for; 0: none
  bool close_after = false;
  httplib::Request* request = nullptr;  // null until its header has been read
  // What has passed the service's screening, and waits for its body.
  std::optional<HttpRequest> screened;

 private:
  const std::unique_ptr<Transport> transport_;
  const size_t max_header_bytes_;
  const std::chrono::milliseconds write_timeout_;
  ArrivalClock arrival_;
  std::string head_;
  bool wrote_ = false;
  int header_refusal_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  char buffer_[16384];
};

// Appends a chunked body to `body`. Returns 0, or the HTTP status of what is wrong with it. The
// library's own reader takes "-5" for a size.
int ReadChunks(Connection& connection, size_t limit, std::string* body);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_HTTP_CONNECTION_H_
