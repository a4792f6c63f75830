// Reads one HTTP/1.1 answer as its bytes arrive and hands on its body, freed of chunks. Not
// thread-safe.
#ifndef VALLM_TOOLS_LOAD_CLIENT_HTTP_READER_H_
#define VALLM_TOOLS_LOAD_CLIENT_HTTP_READER_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"

namespace vallm::tools {

// For one answer; make a new one for the next.
class HttpReader {
 public:
  // Takes what came and calls `body` with each piece of the body in it; the pieces point into
  // `bytes`. Bytes behind the end of the answer make it malformed.
  void Feed(std::string_view bytes, absl::FunctionRef<void(std::string_view)> body);

  // The server has closed the connection. Whether that is how this answer ends (it has neither a
  // length nor chunks); done() is true then.
  bool EndByClose();

  bool begun() const { return begun_; }  // a byte came
  bool has_head() const { return has_head_; }
  bool done() const { return stage_ == Stage::kDone; }
  bool malformed() const { return malformed_; }
  // After has_head().
  int status() const { return status_; }
  const std::string& content_type() const { return content_type_; }
  bool closes_connection() const { return closes_; }

 private:
  enum class Stage { kHead, kLength, kUntilClose, kChunkSize, kChunk, kChunkEnd, kTrailer, kDone };

  // Appends to pending_ up to `end_mark`, which is left out; false when it has not come yet.
  bool ReadUntil(std::string_view end_mark, std::string_view* bytes);
  void ReadHead();
  void ReadField(std::string_view line);

  Stage stage_ = Stage::kHead;
  std::string pending_;   // bytes that do not make a whole line yet
  size_t remaining_ = 0;  // of the body or of the chunk
  int status_ = 0;
  std::string content_type_;
  bool begun_ = false;
  bool has_head_ = false;
  bool closes_ = false;
  bool malformed_ = false;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_LOAD_CLIENT_HTTP_READER_H_
