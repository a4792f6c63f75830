#include "tools/load_client/http_reader.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "common/strings.h"

namespace vallm::tools {
namespace {

// Limits of what no sane server sends: a head, and the line of a chunk's size.
constexpr size_t kMaxHeadBytes = 1 << 20;

}  // namespace

bool HttpReader::ReadUntil(std::string_view end_mark, std::string_view* bytes) {
  const size_t before = pending_.size();
  pending_.append(*bytes);
  const size_t overlap = std::min(before, end_mark.size() - 1);
  const size_t end = pending_.find(end_mark, before - overlap);
  if (end == std::string::npos) {
    *bytes = {};
    malformed_ |= pending_.size() > kMaxHeadBytes;
    return false;
  }
  bytes->remove_prefix(end + end_mark.size() - before);
  pending_.resize(end);
  return true;
}

void HttpReader::Feed(std::string_view bytes, absl::FunctionRef<void(std::string_view)> body) {
  begun_ |= !bytes.empty();
  while (!bytes.empty() && !malformed_) {
    switch (stage_) {
      case Stage::kHead:
        if (!ReadUntil("\r\n\r\n", &bytes)) return;
        ReadHead();
        break;
      case Stage::kChunkSize: {
        if (!ReadUntil("\r\n", &bytes)) return;
        // What follows a semicolon is an extension.
        const std::string_view digits = std::string_view(pending_).substr(0, pending_.find(';'));
        uint64_t size = 0;
        malformed_ |= !absl::SimpleHexAtoi(ToAbsl(digits), &size);
        remaining_ = size;
        stage_ = size == 0 ? Stage::kTrailer : Stage::kChunk;
        pending_.clear();
        break;
      }
      case Stage::kChunkEnd:
        if (!ReadUntil("\r\n", &bytes)) return;
        malformed_ |= !pending_.empty();
        pending_.clear();
        stage_ = Stage::kChunkSize;
        break;
      case Stage::kTrailer:
        if (!ReadUntil("\r\n", &bytes)) return;
        if (pending_.empty()) stage_ = Stage::kDone;
        pending_.clear();
        break;
      case Stage::kLength:
      case Stage::kUntilClose:
      case Stage::kChunk: {
        const std::string_view part = bytes.substr(0, remaining_);
        bytes.remove_prefix(part.size());
        if (stage_ != Stage::kUntilClose) remaining_ -= part.size();
        body(part);
        if (remaining_ == 0) stage_ = stage_ == Stage::kLength ? Stage::kDone : Stage::kChunkEnd;
        break;
      }
      case Stage::kDone:
        malformed_ = true;
        return;
    }
  }
}

bool HttpReader::EndByClose() {
  if (stage_ != Stage::kUntilClose || malformed_) return false;
  stage_ = Stage::kDone;
  closes_ = true;
  return true;
}

void HttpReader::ReadHead() {
  std::string_view head = pending_;
  malformed_ |= head.size() < 12 || !head.starts_with("HTTP/1.") ||
                !absl::SimpleAtoi(ToAbsl(head.substr(9, 3)), &status_);
  stage_ = Stage::kUntilClose;
  remaining_ = std::numeric_limits<size_t>::max();
  closes_ = head.starts_with("HTTP/1.0");
  while (!malformed_ && !head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    ReadField(head.substr(0, end));
    head.remove_prefix(std::min(end + 2, head.size()));
  }
  pending_.clear();
  if (status_ >= 100 && status_ < 200) {  // "100 Continue": the answer is still to come
    stage_ = Stage::kHead;
    return;
  }
  has_head_ = true;
  if (status_ == 204 || status_ == 304) stage_ = Stage::kDone;
}

// The status line has no name that is looked for.
void HttpReader::ReadField(std::string_view line) {
  const size_t colon = std::min(line.find(':'), line.size());
  const absl::string_view name = ToAbsl(line.substr(0, colon));
  const absl::string_view value =
      absl::StripAsciiWhitespace(ToAbsl(line.substr(std::min(colon + 1, line.size()))));
  if (absl::EqualsIgnoreCase(name, "content-length")) {
    malformed_ |= !absl::SimpleAtoi(value, &remaining_);
    stage_ = remaining_ > 0 ? Stage::kLength : Stage::kDone;
  } else if (absl::EqualsIgnoreCase(name, "transfer-encoding")) {
    stage_ = Stage::kChunkSize;
  } else if (absl::EqualsIgnoreCase(name, "content-type")) {
    content_type_ = std::string(value);
  } else if (absl::EqualsIgnoreCase(name, "connection")) {
    closes_ = absl::EqualsIgnoreCase(value, "close");
  }
}

}  // namespace vallm::tools
