#include "gateway/http_connection.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace vallm::gateway {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

void Connection::BeginRequest() {
  arrival_.BeginHeader(Clock::now());
  path.clear();
  refusal = 0;
  close_after = false;
  request = nullptr;
  screened.reset();
  head_.clear();
  wrote_ = false;
  header_refusal_ = 0;
}

int Connection::silent_refusal() const {
  if (wrote_ || head_.empty()) return 0;
  const bool long_line = head_.size() >= CPPHTTPLIB_MAX_LINE_LENGTH;
  return long_line ? 414 : header_refusal_;
}

bool Connection::wait_readable() const {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(arrival_.deadline() - Clock::now());
  return buffered() || PollFor(fd(), POLLIN, left);
}

ssize_t Connection::read(char* out, size_t size) {
  if (request == nullptr && head_.size() >= max_header_bytes_) {
    header_refusal_ = 431;
    return -1;
  }
  if (begin_ == end_) {
    const ssize_t n = transport_->Read(buffer_, sizeof(buffer_), arrival_.deadline());
    if (n <= 0) {
      error_ = n == 0                      ? httplib::Error::ConnectionClosed
               : n == Transport::kTimedOut ? httplib::Error::Timeout
                                           : httplib::Error::Read;
      if (n == Transport::kTimedOut && request == nullptr) header_refusal_ = 408;
      return n == 0 ? 0 : -1;
    }
    begin_ = 0;
    end_ = static_cast<size_t>(n);
  }
  const size_t n = std::min(size, end_ - begin_);
  std::memcpy(out, buffer_ + begin_, n);
  begin_ += n;
  if (request == nullptr) {
    head_.append(out, n);
  } else {
    arrival_.AddBody(static_cast<int64_t>(n));
  }
  return static_cast<ssize_t>(n);
}

ssize_t Connection::write(const char* data, size_t size) {
  wrote_ = true;
  const ssize_t n = transport_->Write(data, size, write_timeout_);
  return n < 0 ? -1 : n;
}

int ReadChunks(Connection& connection, size_t limit, std::string* body) {
  char buffer[256];
  httplib::detail::stream_line_reader lines(connection, buffer, sizeof(buffer));
  constexpr int kMaxTrailers = 100;
  for (;;) {
    if (!lines.getline()) return 400;
    const std::string_view line(lines.ptr(), lines.size());
    const size_t digits = std::min(line.find_first_not_of("0123456789abcdefABCDEF"), line.size());
    constexpr size_t kMostDigits = 15;
    const bool ends_well = digits < line.size() && std::strchr("; \t\r", line[digits]) != nullptr;
    if (digits == 0 || digits > kMostDigits || !ends_well) return 400;
    size_t left = std::stoull(std::string(line.substr(0, digits)), nullptr, 16);
    if (left > limit - body->size()) return 413;
    if (left == 0) break;
    while (left > 0) {
      char piece[16384];
      const ssize_t n = connection.read(piece, std::min(left, sizeof(piece)));
      if (n <= 0) return 400;
      body->append(piece, static_cast<size_t>(n));
      left -= static_cast<size_t>(n);
    }
    if (!lines.getline() || std::string_view(lines.ptr(), lines.size()) != "\r\n") return 400;
  }
  for (int i = 0; i < kMaxTrailers && lines.getline(); ++i) {
    if (std::string_view(lines.ptr(), lines.size()) == "\r\n") return 0;
  }
  return 400;
}

}  // namespace vallm::gateway
