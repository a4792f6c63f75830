#include "tests/bench/load/http_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/load/answer_reader.h"

namespace vallm::bench {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class HttpLoad {
 public:
  HttpLoad(const LoadPlan& plan, const HttpTarget& target)
      : plan_(plan), target_(target), due_(DueTimes(plan)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}
  ~HttpLoad() {
    for (auto& connection : connections_) close(connection->socket);
    close(epoll_);
  }
  HttpLoad(const HttpLoad&) = delete;
  HttpLoad& operator=(const HttpLoad&) = delete;

  absl::StatusOr<LoadResult> Run(const std::function<void()>& hold) {
    start_ = Clock::now();
    while (result_.completed + failed_ < plan_.requests) {
      if (const absl::Status status = AskWhatIsDue(); !status.ok()) return status;
      if (hold != nullptr && with_frame_ + failed_ == plan_.requests) {
        hold();
        break;
      }
      Wait();
    }
    result_.seconds = SecondsSince(start_);
    return std::move(result_);
  }

 private:
  struct Connection {
    int socket = -1;
    bool busy = false;
    double due = 0;  // of the running request
    std::unique_ptr<AnswerReader> reader;
    bool counted_frame = false;
    bool counted_text = false;
  };

  absl::Status AskWhatIsDue() {
    while (asked_ < plan_.requests && busy_ < plan_.concurrency &&
           due_[static_cast<size_t>(asked_)] <= SecondsSince(start_)) {
      Connection* connection = nullptr;
      if (!idle_.empty()) {
        connection = idle_.back();
        idle_.pop_back();
      } else {
        connection = Open();
        if (connection == nullptr) {
          return absl::UnavailableError(absl::StrCat("cannot connect to ", target_.host, ":",
                                                     target_.port, ": ", std::strerror(errno)));
        }
      }
      Ask(connection);
    }
    return absl::OkStatus();
  }

  Connection* Open() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return nullptr;
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(target_.port));
    inet_pton(AF_INET, target_.host.c_str(), &address.sin_addr);
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      close(fd);
      return nullptr;
    }
    connections_.push_back(std::make_unique<Connection>());
    Connection* const connection = connections_.back().get();
    connection->socket = fd;
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = connection}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    return connection;
  }

  void Ask(Connection* connection) {
    const std::string body = target_.body(asked_);
    std::string request =
        absl::StrCat("POST ", target_.path, " HTTP/1.1\r\nHost: ", target_.host, ":", target_.port,
                     "\r\nContent-Type: application/json\r\nContent-Length: ", body.size(), "\r\n");
    if (!target_.api_key.empty()) {
      absl::StrAppend(&request, "Authorization: Bearer ", target_.api_key, "\r\n");
    }
    absl::StrAppend(&request, "\r\n", body);
    connection->busy = true;
    connection->due = plan_.rate > 0 ? due_[static_cast<size_t>(asked_)] : SecondsSince(start_);
    connection->reader = std::make_unique<AnswerReader>();
    connection->counted_frame = connection->counted_text = false;
    ++asked_;
    result_.most_at_once = std::max(result_.most_at_once, ++busy_);
    // Requests are small next to a socket's buffer: a blocking send does not wait.
    if (send(connection->socket, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      Fail(connection, "send failed");
    }
  }

  void Wait() {
    int timeout_ms = 1000;
    if (asked_ < plan_.requests && busy_ < plan_.concurrency) {
      const double left = due_[static_cast<size_t>(asked_)] - SecondsSince(start_);
      timeout_ms = std::clamp(static_cast<int>(std::ceil(left * 1e3)), 0, 1000);
    }
    std::array<epoll_event, 256> events;
    const int count =
        epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms);
    for (int i = 0; i < count; ++i)
      Receive(static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr));
  }

  void Receive(Connection* connection) {
    const ssize_t size = recv(connection->socket, buffer_.data(), buffer_.size(), 0);
    if (size <= 0) {
      if (connection->busy) {
        Fail(connection, size == 0 ? "connection closed" : std::strerror(errno));
      } else {
        Drop(connection);
      }
      return;
    }
    if (!connection->busy) return;
    result_.bytes += size;
    AnswerReader& reader = *connection->reader;
    reader.Feed({buffer_.data(), static_cast<size_t>(size)});
    if (!connection->counted_frame && reader.frames() > 0) {
      connection->counted_frame = true;
      ++with_frame_;
    }
    if (!connection->counted_text && reader.streamed() && reader.has_text()) {
      connection->counted_text = true;
      result_.first_s.push_back(SecondsSince(start_) - connection->due);
    }
    if (reader.malformed()) {
      Fail(connection, "malformed answer");
    } else if (reader.done()) {
      Finish(connection);
    }
  }

  void Finish(Connection* connection) {
    const AnswerReader& reader = *connection->reader;
    if (reader.status() != 200) return Fail(connection, absl::StrCat("status ", reader.status()));
    if (reader.saw_error()) return Fail(connection, "error in the stream");
    if (reader.streamed() && !reader.saw_done()) return Fail(connection, "stream without [DONE]");
    result_.total_s.push_back(SecondsSince(start_) - connection->due);
    result_.tokens += reader.completion_tokens();
    result_.frames += reader.frames();
    ++result_.completed;
    --busy_;
    connection->busy = false;
    if (reader.closes_connection()) {
      Drop(connection);
    } else {
      idle_.push_back(connection);
    }
  }

  void Fail(Connection* connection, const std::string& why) {
    ++result_.failures[why];
    ++failed_;
    --busy_;
    Drop(connection);
  }

  void Drop(Connection* connection) {
    std::erase(idle_, connection);
    close(connection->socket);
    std::erase_if(connections_, [connection](const auto& c) { return c.get() == connection; });
  }

  const LoadPlan plan_;
  const HttpTarget target_;
  const std::vector<double> due_;
  const int epoll_;
  Clock::time_point start_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;
  std::array<char, 1 << 16> buffer_;
  LoadResult result_;
  int asked_ = 0;
  int busy_ = 0;
  int failed_ = 0;
  int with_frame_ = 0;
};

}  // namespace

absl::StatusOr<LoadResult> RunHttpLoad(const LoadPlan& plan, const HttpTarget& target,
                                       const std::function<void()>& hold) {
  return std::make_unique<HttpLoad>(plan, target)->Run(hold);
}

}  // namespace vallm::bench
