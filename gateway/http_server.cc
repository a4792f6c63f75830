#include "gateway/http_server.h"

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <limits>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "gateway/elastic_pool.h"
#include "gateway/hangup_watch.h"
#include "gateway/http_connection.h"
#include "gateway/http_head.h"
#include "gateway/http_library.h"
#include "gateway/idle_connections.h"
#include "gateway/open_connections.h"
#include "gateway/stream_sink.h"
#include "gateway/tls_context.h"
#include "gateway/transport.h"

namespace vallm::gateway {
namespace {

using Clock = std::chrono::steady_clock;

// The connection that the current thread serves.
thread_local Connection* t_connection = nullptr;
// Set while the accepting thread itself runs a task: there is no thread for it.
thread_local bool t_overloaded = false;

// Tells the task that there is no thread for it: the accepting thread itself runs it.
class LibraryPool final : public httplib::TaskQueue {
 public:
  LibraryPool(int limit, std::function<bool()> make_room) : pool_(limit, std::move(make_room)) {}

  bool enqueue(std::function<void()> task) override {
    if (pool_.TryRun(task)) return true;
    t_overloaded = true;
    task();
    t_overloaded = false;
    return true;
  }
  void shutdown() override { pool_.JoinAll(); }

 private:
  ElasticPool pool_;
};

HttpRequest ToHttpRequest(const httplib::Request& from, HangupWatch& hangups) {
  HttpRequest request;
  request.method = from.method;
  request.path = t_connection->path;
  for (const auto& [name, value] : from.params) request.query.emplace_back(name, value);
  for (const auto& [name, value] : from.headers) request.headers.emplace_back(name, value);
  request.remote_address = from.remote_addr;
  const int fd = t_connection->fd();
  request.client_gone = [fd] { return PeerClosed(fd); };
  request.when_client_goes = [fd, &hangups](std::function<void()> callback) {
    return hangups.Watch(fd, std::move(callback));
  };
  return request;
}

void FillResponse(const httplib::Request& request, HttpResponse from, httplib::Response& to) {
  to.status = from.status;
  for (const auto& [name, value] : from.headers) to.set_header(name, value);
  if (from.status == 204) return;  // has no body, not even an empty one
  if (!from.stream) {
    to.set_content(std::move(from.body), from.content_type);
    return;
  }
  const bool chunked = request.version != "HTTP/1.0";
  auto provider = [stream = std::move(from.stream), chunked](size_t, httplib::DataSink& sink) {
    try {
      StreamSink body(
          t_connection->transport(), t_connection->write_timeout(), chunked,
          [&sink](std::string_view bytes) { return sink.write(bytes.data(), bytes.size()); });
      stream(body);
      if (!body.Write("")) return false;
      sink.done();
      return true;
    } catch (const std::exception&) {
      return false;  // closes the connection without the terminating chunk
    }
  };
  if (chunked) {
    to.set_chunked_content_provider(from.content_type, std::move(provider));
  } else {  // the end of the connection ends the body
    t_connection->close_after = true;
    to.set_content_provider(from.content_type, std::move(provider));
  }
}

// The library's server with our connection loop.
class LibraryServer final : public httplib::Server {
 public:
  LibraryServer(const HttpServerOptions& options, HttpService& service)
      : options_(options), service_(service), open_(options.max_connections_per_client) {
    new_task_queue = [this] {
      return new LibraryPool(options_.max_connections, [this] { return idle_.EvictOldest(); });
    };
    set_tcp_nodelay(true);
    set_socket_options([](socket_t fd) {
      // Not SO_REUSEPORT: a second process would silently share the port.
      httplib::set_socket_opt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    });
    set_payload_max_length(static_cast<size_t>(options.max_body_bytes));
    set_read_timeout(absl::ToInt64Seconds(options.read_timeout));
    set_write_timeout(absl::ToInt64Seconds(options.write_timeout));
    set_keep_alive_max_count(std::numeric_limits<int32_t>::max());  // our loop does not count
    set_keep_alive_timeout(absl::ToInt64Seconds(options.keep_alive_timeout));
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      return Route(request, response);
    });
    Post("/", [this](const httplib::Request& request, httplib::Response& response,
                     const httplib::ContentReader& reader) { Read(request, response, reader); });
    set_post_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      Finish(request, response);
    });
    set_expect_100_continue_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
          return Refused(request, response) ? response.status : 100;
        });
    set_error_handler([this](const httplib::Request& request, httplib::Response& response) {
      // The library answers 400 to whatever ends a header.
      const int header_refusal = t_connection->header_refusal();
      if (header_refusal != 0) {
        FillResponse(request, service_.Malformed(header_refusal), response);
      } else if (response.body.empty()) {
        FillResponse(request, service_.Malformed(response.status), response);
      }
    });
    set_exception_handler(
        [this](const httplib::Request& request, httplib::Response& response, std::exception_ptr) {
          FillResponse(request, service_.Malformed(500), response);
        });
  }

  void CloseListener() {
    if (closed_.exchange(true)) return;
    stop();
    idle_.EvictAll();
  }
  bool listening() const { return svr_sock_ != INVALID_SOCKET; }
  void CutConnections() { open_.CutAll(); }

 private:
  // Answers a request that its header alone refuses; else it is the connection's `screened`,
  // without the body. Screens a request once, although the library asks twice for one that wants
  // to be told to continue.
  bool Refused(const httplib::Request& from, httplib::Response& response) {
    std::optional<HttpRequest>& screened = t_connection->screened;
    if (screened.has_value()) return false;
    screened = ToHttpRequest(from, hangups_);
    std::optional<HttpResponse> refusal = service_.Screen(*screened);
    if (!refusal && t_connection->refusal != 0) {
      refusal = service_.Malformed(t_connection->refusal);
    }
    if (!refusal) return false;
    screened.reset();
    FillResponse(from, *std::move(refusal), response);
    return true;
  }

  // Everything that has no body is answered here, and so is what need not be read.
  HandlerResponse Route(const httplib::Request& from, httplib::Response& response) {
    if (Refused(from, response)) return HandlerResponse::Handled;
    if (from.method == "POST") return HandlerResponse::Unhandled;
    FillResponse(from, service_.Handle(*t_connection->screened), response);
    return HandlerResponse::Handled;
  }

  void Read(const httplib::Request& from, httplib::Response& response,
            const httplib::ContentReader& reader) {
    HttpRequest& request = *t_connection->screened;
    const auto limit = static_cast<size_t>(options_.max_body_bytes);
    int refusal = 0;
    if (from.has_header("Transfer-Encoding")) {
      refusal = ReadChunks(*t_connection, limit, &request.body);
      t_connection->request->body_consumed_ = true;
    } else {
      const bool read = reader([&](const char* data, size_t size) {
        request.body.append(data, size);  // the declared length is within the limit
        return true;
      });
      if (!read) refusal = 400;
    }
    if (refusal == 400 && t_connection->timed_out()) refusal = 408;
    FillResponse(from, refusal != 0 ? service_.Malformed(refusal) : service_.Handle(request),
                 response);
  }

  // The last word on a response's header: whether the connection goes on.
  void Finish(const httplib::Request& request, httplib::Response& response) const {
    Connection& connection = *t_connection;
    if (response.status == 204) response.headers.erase("Content-Length");
    if (response.status >= 400) {
      connection.close_after = true;
      // Nobody waits for the rest of the body.
      if (connection.request != nullptr) connection.request->body_consumed_ = true;
    }
    response.headers.erase("Keep-Alive");
    const bool is_old = request.version == "HTTP/1.0";
    const bool keeps = is_old && request.get_header_value("Connection") == "Keep-Alive";
    if (connection.close_after || response.has_header("Connection") || (is_old && !keeps)) {
      response.headers.erase("Connection");
      response.set_header("Connection", "close");
      return;
    }
    if (is_old) response.set_header("Connection", "Keep-Alive");
    response.set_header(
        "Keep-Alive", absl::StrCat("timeout=", absl::ToInt64Seconds(options_.keep_alive_timeout)));
  }

  bool process_and_close_socket(socket_t fd) override {
    // A client that is told nothing by TLS finds its connection closed.
    const bool speaks_plain = options_.tls == nullptr;
    if (t_overloaded) {
      const std::unique_ptr<Transport> transport = MakePlainTransport(fd);
      if (speaks_plain) SendRefusal(*transport, 503, "Retry-After: 1\r\n");
      Close(*transport, std::chrono::milliseconds(0));
      return false;
    }
    std::string remote_address;
    int remote_port = 0;
    httplib::detail::get_remote_ip_and_port(fd, remote_address, remote_port);
    std::unique_ptr<OpenConnections::Place> place =
        std::make_unique<OpenConnections::Place>(open_, fd, remote_address);
    std::unique_ptr<Transport> transport = MakePlainTransport(fd);
    bool ok = false;
    std::chrono::milliseconds patience(100);
    if (!place->within_limit()) {
      if (speaks_plain) SendRefusal(*transport, 429, "Retry-After: 1\r\n");
    } else if (AwaitRequest(fd, options_.first_byte_timeout) && ShakeHands(transport)) {
      auto connection = std::make_unique<Connection>(std::move(transport), options_);
      t_connection = connection.get();
      ok = ServeRequests(*connection, remote_address, remote_port);
      t_connection = nullptr;
      // After an answer the client may still be sending what is not wanted.
      if (connection->close_after) patience = std::chrono::milliseconds(1000);
      Close(connection->transport(), patience, std::move(place));
      return ok;
    }
    Close(*transport, patience, std::move(place));
    return ok;
  }

  // Makes `transport` speak TLS, if the port does. False when the client does not.
  bool ShakeHands(std::unique_ptr<Transport>& transport) {
    if (options_.tls == nullptr) return true;
    const auto deadline = Clock::now() + absl::ToChronoMilliseconds(options_.header_timeout);
    auto secure = AcceptTls(transport->fd(), options_.tls->current(), deadline);
    if (secure.ok()) {
      transport = *std::move(secure);
      return true;
    }
    if (absl::IsInvalidArgument(secure.status())) SendRefusal(*transport, 400, "");
    return false;
  }

  // The requests of a connection of which the first has begun to come. False when one broke.
  bool ServeRequests(Connection& connection, const std::string& remote_address, int remote_port) {
    std::string local_address;
    int local_port = 0;
    connection.get_local_ip_and_port(local_address, local_port);
    bool ok = true;
    do {
      connection.BeginRequest();
      bool closed = false;
      ok = process_request(connection, remote_address, remote_port, local_address, local_port,
                           /*close_connection=*/!listening(), closed,
                           [&](httplib::Request& request) { Prepare(request, connection); });
      connection.screened.reset();
      if (const int status = connection.silent_refusal(); status != 0) {
        SendRefusal(connection.transport(), status, "");
        connection.close_after = true;
      }
      if (closed || connection.close_after || !listening()) break;
    } while (ok &&
             (connection.buffered() || AwaitRequest(connection.fd(), options_.keep_alive_timeout)));
    return ok;
  }

  // Waits for the first byte of a request; false when the connection is to end instead.
  bool AwaitRequest(int fd, absl::Duration patience) {
    const IdleConnections::Place place = idle_.Enter(fd);
    // A stop evicts whom it finds here.
    const bool readable = listening() && PollFor(fd, POLLIN, absl::ToChronoMilliseconds(patience));
    return idle_.Leave(place) && readable;
  }

  void Prepare(httplib::Request& request, Connection& connection) const {
    connection.BeginBody(&request);
    RestoreHeaders(connection.head(), &request.headers);
    connection.path = WithoutAuthority(std::exchange(request.path, "/"));
    request.ranges.clear();  // an answer is never partial
    connection.refusal =
        IsCleanHead(connection.head()) ? RefusalOf(request, options_.max_body_bytes) : 400;
    // Without a length there is no body; the library would wait for the connection's end. And one
    // that is not to be read must not be waited for either.
    const bool bodiless =
        !request.has_header("Content-Length") && !request.has_header("Transfer-Encoding");
    request.body_consumed_ = bodiless || connection.refusal != 0;
    if (absl::EqualsIgnoreCase(request.get_header_value("Connection"), "close")) {
      connection.close_after = true;
    }
  }

  // Answers without the library, and without waiting. `headers` are whole lines.
  void SendRefusal(Transport& transport, int status, std::string_view headers) {
    const HttpResponse response = service_.Malformed(status);
    std::string bytes =
        absl::StrCat("HTTP/1.1 ", status, " ", httplib::status_message(status), "\r\n",
                     ToAbsl(headers), "Content-Type: ", response.content_type,
                     "\r\nContent-Length: ", response.body.size(), "\r\n");
    for (const auto& [name, value] : response.headers) {
      absl::StrAppend(&bytes, name, ": ", value, "\r\n");
    }
    absl::StrAppend(&bytes, "Connection: close\r\n\r\n", response.body);
    transport.Write(bytes.data(), bytes.size(), std::chrono::milliseconds(0));
  }

  // Closing with unread bytes would reset the connection and might take the answer with it.
  static void Close(Transport& transport, std::chrono::milliseconds patience,
                    std::unique_ptr<OpenConnections::Place> place = nullptr) {
    transport.EndOutput();
    Drain(transport.fd(), patience);
    place.reset();  // while the descriptor is still ours
    ::close(transport.fd());
  }

  static void Drain(int fd, std::chrono::milliseconds patience) {
    char scratch[4096];
    const auto deadline = Clock::now() + patience;
    for (;;) {
      const ssize_t n = ::recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return;
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0 || (n < 0 && !PollFor(fd, POLLIN, left))) return;
    }
  }

  const HttpServerOptions options_;
  HttpService& service_;
  std::atomic<bool> closed_{false};
  IdleConnections idle_;
  OpenConnections open_;
  HangupWatch hangups_;
};

}  // namespace

struct HttpServer::Impl {
  Impl(const HttpServerOptions& options, HttpService& service) : server(options, service) {}
  LibraryServer server;
  int port = 0;
  std::thread acceptor;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                              HttpService& service) {
  auto impl = std::make_unique<Impl>(options, service);
  if (options.port == 0) {
    impl->port = impl->server.bind_to_any_port(options.host);
  } else if (impl->server.bind_to_port(options.host, options.port)) {
    impl->port = options.port;
  }
  if (impl->port <= 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.host, ":", options.port,
                                               ": is the address in use?"));
  }
  impl->acceptor = std::thread([&server = impl->server] { server.listen_after_bind(); });
  impl->server.wait_until_ready();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  StopAccepting();
  impl_->acceptor.join();
}

int HttpServer::port() const { return impl_->port; }

void HttpServer::StopAccepting() { impl_->server.CloseListener(); }

void HttpServer::CutConnections() { impl_->server.CutConnections(); }

}  // namespace vallm::gateway
