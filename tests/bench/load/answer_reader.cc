#include "tests/bench/load/answer_reader.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "common/strings.h"

namespace vallm::bench {
namespace {

// Whether `json` has one of the fields that hold text, and something in it.
bool HasText(std::string_view json) {
  for (const std::string_view field : {"\"content\":", "\"reasoning_content\":", "\"text\":"}) {
    for (size_t at = json.find(field); at != std::string_view::npos;
         at = json.find(field, at + 1)) {
      std::string_view value = json.substr(at + field.size());
      while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
      if (value.size() > 1 && value[0] == '"' && value[1] != '"') return true;
    }
  }
  return false;
}

}  // namespace

bool AnswerReader::ReadUntil(std::string_view end_mark, std::string_view* bytes) {
  const size_t before = pending_.size();
  pending_.append(*bytes);
  const size_t overlap = std::min(before, end_mark.size() - 1);
  const size_t end = pending_.find(end_mark, before - overlap);
  if (end == std::string::npos) {
    *bytes = {};
    return false;
  }
  bytes->remove_prefix(end + end_mark.size() - before);
  pending_.resize(end);
  return true;
}

void AnswerReader::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    switch (stage_) {
      case Stage::kHead:
        if (!ReadUntil("\r\n\r\n", &bytes)) return;
        ReadHead(pending_);
        pending_.clear();
        break;
      case Stage::kChunkSize:
        if (!ReadUntil("\r\n", &bytes)) return;
        remaining_ = std::strtoull(pending_.c_str(), nullptr, 16);
        stage_ = remaining_ == 0 ? Stage::kLastLine : Stage::kChunk;
        pending_.clear();
        break;
      case Stage::kChunkEnd:
      case Stage::kLastLine:  // no server here sends trailers
        if (!ReadUntil("\r\n", &bytes)) return;
        malformed_ |= !pending_.empty();
        pending_.clear();
        stage_ = stage_ == Stage::kLastLine ? Stage::kDone : Stage::kChunkSize;
        break;
      case Stage::kLength:
      case Stage::kChunk: {
        const std::string_view part = bytes.substr(0, remaining_);
        bytes.remove_prefix(part.size());
        remaining_ -= part.size();
        TakePayload(part);
        if (remaining_ == 0) stage_ = stage_ == Stage::kLength ? Stage::kDone : Stage::kChunkEnd;
        break;
      }
      case Stage::kDone:
        malformed_ = true;
        return;
    }
  }
  if (done() && !streamed_) LookForTokens(payload_);
}

void AnswerReader::ReadHead(std::string_view head) {
  stage_ = Stage::kDone;  // unless it has a body
  malformed_ = head.size() < 12 || !absl::SimpleAtoi(ToAbsl(head.substr(9, 3)), &status_);
  while (!malformed_ && !head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    ReadField(head.substr(0, end));
    head.remove_prefix(std::min(end + 2, head.size()));
  }
}

// The status line has no name that is looked for.
void AnswerReader::ReadField(std::string_view line) {
  const size_t colon = std::min(line.find(':'), line.size());
  const absl::string_view name = ToAbsl(line.substr(0, colon));
  const absl::string_view value =
      absl::StripAsciiWhitespace(ToAbsl(line.substr(std::min(colon + 1, line.size()))));
  if (absl::EqualsIgnoreCase(name, "content-length")) {
    malformed_ = !absl::SimpleAtoi(value, &remaining_);
    if (remaining_ > 0) stage_ = Stage::kLength;
  } else if (absl::EqualsIgnoreCase(name, "transfer-encoding")) {
    stage_ = Stage::kChunkSize;
  } else if (absl::EqualsIgnoreCase(name, "content-type")) {
    streamed_ = absl::StartsWith(value, "text/event-stream");
  } else if (absl::EqualsIgnoreCase(name, "connection")) {
    closes_ = absl::EqualsIgnoreCase(value, "close");
  }
}

void AnswerReader::TakePayload(std::string_view payload) {
  payload_.append(payload);
  if (!streamed_) return;
  size_t begin = 0;
  for (size_t end; (end = payload_.find("\n\n", begin)) != std::string::npos; begin = end + 2) {
    TakeFrame(std::string_view(payload_).substr(begin, end - begin));
  }
  payload_.erase(0, begin);
}

void AnswerReader::TakeFrame(std::string_view frame) {
  ++frames_;
  if (!frame.starts_with("data:")) return;
  saw_done_ |= frame == "data: [DONE]";
  saw_error_ |= frame.starts_with("data: {\"error\"");
  if (!has_text_) has_text_ = HasText(frame);
  LookForTokens(frame);
}

void AnswerReader::LookForTokens(std::string_view json) {
  constexpr std::string_view kField = "\"completion_tokens\":";
  const size_t at = json.find(kField);
  if (at != std::string_view::npos) {
    tokens_ = std::strtoll(json.data() + at + kField.size(), nullptr, 10);
  }
}

}  // namespace vallm::bench
