#include "tools/load_client/load_run.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/load_client/http_reader.h"
#include "tools/load_client/stream_socket.h"

namespace vallm::tools {
namespace {

using Clock = std::chrono::steady_clock;
using Progress = StreamSocket::Progress;

constexpr int kTickMs = 100;
constexpr int kNone = -1;

std::string RequestText(const ServerAddress& server, const HttpCall& call) {
  std::string text =
      absl::StrCat(call.method, " ", call.path, " HTTP/1.1\r\nHost: ", server.Authority(), "\r\n");
  for (const auto& [name, value] : call.headers) absl::StrAppend(&text, name, ": ", value, "\r\n");
  if (!call.body.empty()) {
    absl::StrAppend(&text, "Content-Type: application/json\r\nContent-Length: ", call.body.size(),
                    "\r\n");
  }
  absl::StrAppend(&text, "\r\n", call.body);
  return text;
}

struct Connection {
  std::unique_ptr<StreamSocket> socket;
  uint32_t watched = 0;    // epoll events
  bool ready = false;      // connected
  int index = kNone;       // of the request that runs
  bool reused = false;     // another request ran here before
  std::string request;     // kept until the answer begins: a reused connection may turn out closed
  size_t sent = 0;         // bytes of it
  bool cut_short = false;  // the rest of it was never sent
  std::optional<HttpReader> reader;
};

class LoadRun {
 public:
  LoadRun(const ServerAddress& server, SSL_CTX* ssl_context, const LoadSchedule& schedule,
          LoadHandler& handler)
      : server_(server),
        ssl_context_(ssl_context),
        schedule_(schedule),
        handler_(handler),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
    epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event);
  }
  ~LoadRun() {
    close(timer_);
    close(epoll_);
  }

  void Run() {
    start_ = Clock::now();
    while (ended_ < schedule_.due_s.size()) {
      if (!handler_.OnTick(Now())) return BreakOff();
      SendWhatIsDue();
      if (ended_ < schedule_.due_s.size()) Wait();
    }
    handler_.OnTick(Now());
  }

 private:
  double Now() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  bool HasPlace() const {
    return schedule_.concurrency == 0 || busy_ < static_cast<size_t>(schedule_.concurrency);
  }

  void SendWhatIsDue() {
    while (next_ < schedule_.due_s.size() && HasPlace() && schedule_.due_s[next_] <= Now()) {
      const int index = static_cast<int>(next_++);
      ++busy_;
      // The body is made before the clock runs.
      std::string request = RequestText(server_, handler_.MakeCall(index));
      handler_.OnSent(index, Now());
      Start(index, std::move(request));
    }
  }

  void Start(int index, std::string request) {
    Connection* connection = nullptr;
    const bool reused = !idle_.empty();
    if (reused) {
      connection = idle_.back();
      idle_.pop_back();
    } else {
      absl::StatusOr<std::unique_ptr<StreamSocket>> socket =
          StreamSocket::Connect(server_, ssl_context_);
      if (!socket.ok()) return End(index, socket.status());
      connections_.push_back(std::make_unique<Connection>());
      connection = connections_.back().get();
      connection->socket = *std::move(socket);
    }
    connection->index = index;
    connection->reused = reused;
    connection->request = std::move(request);
    connection->sent = 0;
    connection->reader.emplace();
    Advance(connection);
  }

  // Connects and writes as far as it goes without waiting.
  void Advance(Connection* connection) {
    StreamSocket& socket = *connection->socket;
    Progress progress = Progress::kDone;
    if (!connection->ready) {
      progress = socket.Handshake();
      connection->ready = progress == Progress::kDone;
    }
    if (progress == Progress::kDone && connection->index != kNone) {
      std::string_view left = std::string_view(connection->request).substr(connection->sent);
      progress = socket.Write(&left);
      connection->sent = connection->request.size() - left.size();
    }
    switch (progress) {
      case Progress::kDone:
      case Progress::kWantRead:
        return Watch(connection, EPOLLIN);
      case Progress::kWantWrite:
        return Watch(connection, EPOLLIN | EPOLLOUT);
      case Progress::kClosed:
        return Lose(connection, "connection closed");
      case Progress::kFailed:
        return Lose(connection, socket.error());
    }
  }

  void Watch(Connection* connection, uint32_t events) {
    if (connection->watched == events) return;
    epoll_event event = {.events = events, .data = {.ptr = connection}};
    epoll_ctl(epoll_, connection->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
              connection->socket->descriptor(), &event);
    connection->watched = events;
  }

  // Wakes the wait when a request is due: epoll's own timeout is in whole milliseconds, and what is
  // sent late would be counted as the server's time.
  void SetTimer() {
    if (next_ >= schedule_.due_s.size() || !HasPlace() || timer_is_for_ == next_) return;
    timer_is_for_ = next_;
    const auto left = std::chrono::nanoseconds(
        std::max<int64_t>(1, std::llround((schedule_.due_s[next_] - Now()) * 1e9)));
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    itimerspec time = {};
    time.it_value.tv_sec = seconds.count();
    time.it_value.tv_nsec = (left - seconds).count();
    timerfd_settime(timer_, 0, &time, nullptr);
  }

  void Wait() {
    SetTimer();
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), kTickMs);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      auto* const connection = static_cast<Connection*>(event.data.ptr);
      SendWhatIsDue();  // while many answers are read, too
      if (connection == nullptr || connection->socket == nullptr) continue;  // the timer; dropped
      if (!connection->ready || (event.events & EPOLLOUT) != 0) {
        Advance(connection);
      } else {
        Receive(connection);
      }
    }
    for (Connection* connection : dropped_) {
      std::erase_if(connections_, [&](const auto& held) { return held.get() == connection; });
    }
    dropped_.clear();
  }

  void Receive(Connection* connection) {
    while (true) {
      size_t size = 0;
      const Progress progress = connection->socket->Read(buffer_.data(), buffer_.size(), &size);
      if (progress == Progress::kWantRead) return;
      if (progress == Progress::kWantWrite) return Watch(connection, EPOLLIN | EPOLLOUT);
      const double now = Now();
      if (progress == Progress::kClosed && connection->index != kNone &&
          connection->reader->EndByClose()) {
        return Finish(connection, now);
      }
      if (progress != Progress::kDone) {
        return Lose(connection, progress == Progress::kClosed ? "connection closed"
                                                              : connection->socket->error());
      }
      if (connection->index == kNone) return Drop(connection);  // bytes that nobody asked for
      HttpReader& reader = *connection->reader;
      const bool had_head = reader.has_head();
      reader.Feed({buffer_.data(), size}, [&](std::string_view piece) {
        if (!had_head) TellHead(connection);
        handler_.OnBody(connection->index, piece, now);
      });
      if (!had_head && reader.has_head()) TellHead(connection);
      if (reader.malformed()) {
        const int index = connection->index;
        Drop(connection);
        return End(index, absl::DataLossError("the answer is not HTTP"));
      }
      if (reader.done()) return Finish(connection, now);
      if (!server_.tls && size < buffer_.size()) return;  // no more for now
    }
  }

  void TellHead(Connection* connection) {
    if (connection->request.empty()) return;  // told
    // An answer that did not wait for its request leaves the rest of that in the way of the next.
    connection->cut_short = connection->sent < connection->request.size();
    connection->request.clear();
    connection->sent = 0;
    const HttpReader& reader = *connection->reader;
    handler_.OnHead(connection->index, reader.status(), reader.content_type());
  }

  void Finish(Connection* connection, double now) {
    const int index = connection->index;
    const bool closes = connection->reader->closes_connection() || connection->cut_short;
    connection->index = kNone;
    if (closes) {
      Drop(connection);
    } else {
      idle_.push_back(connection);
    }
    --busy_;
    ++ended_;
    handler_.OnEnd(index, absl::OkStatus(), now);
  }

  // The connection is gone. A server may close one between two requests just as the next is sent.
  void Lose(Connection* connection, std::string why) {
    const int index = connection->index;
    const bool again = index != kNone && connection->reused && !connection->reader->begun();
    std::string request = std::move(connection->request);
    Drop(connection);
    if (index == kNone) return;
    if (again) {
      idle_.clear();  // the others may be as stale; they are dropped when their events come
      return Start(index, std::move(request));
    }
    End(index, absl::UnavailableError(absl::StrCat(server_.Authority(), ": ", why)));
  }

  void Drop(Connection* connection) {
    std::erase(idle_, connection);
    connection->socket.reset();  // leaves the epoll set
    connection->index = kNone;
    dropped_.push_back(connection);
  }

  void End(int index, const absl::Status& status) {
    --busy_;
    ++ended_;
    handler_.OnEnd(index, status, Now());
  }

  void BreakOff() {
    const absl::Status cancelled = absl::CancelledError("broken off");
    for (auto& connection : connections_) {
      if (connection->index != kNone) handler_.OnEnd(connection->index, cancelled, Now());
    }
    for (; next_ < schedule_.due_s.size(); ++next_) {
      handler_.OnEnd(static_cast<int>(next_), cancelled, Now());
    }
  }

  const ServerAddress& server_;
  SSL_CTX* const ssl_context_;
  const LoadSchedule& schedule_;
  LoadHandler& handler_;
  const int epoll_;
  const int timer_;  // edge-triggered: never read
  std::optional<size_t> timer_is_for_;
  Clock::time_point start_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;
  std::vector<Connection*> dropped_;  // deleted once no event of this round can name them
  std::array<char, 1 << 16> buffer_;
  size_t next_ = 0;  // to be sent
  size_t busy_ = 0;  // sent and not ended
  size_t ended_ = 0;
};

class OneCall final : public LoadHandler {
 public:
  explicit OneCall(HttpCall call) : call_(std::move(call)) {}

  HttpCall MakeCall(int) override { return std::move(call_); }
  void OnHead(int, int status, const std::string&) override { answer_.status = status; }
  void OnBody(int, std::string_view bytes, double) override { answer_.body.append(bytes); }
  void OnEnd(int, const absl::Status& status, double) override { status_ = status; }

  absl::StatusOr<HttpAnswer> Take() {
    if (!status_.ok()) return status_;
    return std::move(answer_);
  }

 private:
  HttpCall call_;
  HttpAnswer answer_;
  absl::Status status_;
};

}  // namespace

absl::Status RunLoad(const ServerAddress& server, const TlsCheck& tls, const LoadSchedule& schedule,
                     LoadHandler& handler) {
  VALLM_ASSIGN_OR_RETURN(const SslContext ssl_context,
                         MakeSslContext(server, tls.verify, tls.ca_file));
  std::make_unique<LoadRun>(server, ssl_context.get(), schedule, handler)->Run();
  return absl::OkStatus();
}

absl::StatusOr<HttpAnswer> CallOnce(const ServerAddress& server, const TlsCheck& tls,
                                    HttpCall call) {
  OneCall handler(std::move(call));
  VALLM_RETURN_IF_ERROR(RunLoad(server, tls, {.due_s = {0}}, handler));
  return handler.Take();
}

}  // namespace vallm::tools
