#include "gateway/stream_sink.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/strings.h"

namespace vallm::gateway {

StreamSink::StreamSink(Transport& transport, std::chrono::milliseconds write_timeout, bool chunked,
                       LibraryWrite write)
    : transport_(transport),
      write_timeout_(write_timeout),
      chunked_(chunked),
      write_(std::move(write)) {}

bool StreamSink::Write(std::string_view bytes) {
  // The library takes an empty write for the end of the stream.
  return SendLeft(write_timeout_) && (bytes.empty() || write_(bytes));
}

bool StreamSink::TryWrite(std::string_view bytes) {
  if (bytes.empty()) return left_.empty();
  if (chunked_) absl::StrAppend(&left_, absl::Hex(bytes.size()), "\r\n");
  absl::StrAppend(&left_, ToAbsl(bytes), chunked_ ? "\r\n" : "");
  return SendLeft(std::chrono::milliseconds(0));
}

bool StreamSink::SendLeft(std::chrono::milliseconds patience) {
  size_t sent = 0;
  while (sent < left_.size()) {
    const ssize_t n = transport_.Write(left_.data() + sent, left_.size() - sent, patience);
    if (n <= 0) break;
    sent += static_cast<size_t>(n);
  }
  left_.erase(0, sent);
  return left_.empty();
}

}  // namespace vallm::gateway
