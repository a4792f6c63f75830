// Reads one HTTP/1.1 answer, whole or as server-sent events, as its bytes arrive.
#ifndef VALLM_TESTS_BENCH_LOAD_ANSWER_READER_H_
#define VALLM_TESTS_BENCH_LOAD_ANSWER_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vallm::bench {

// For one answer; make a new one for the next.
class AnswerReader {
 public:
  // Takes what came. Bytes behind the end of the answer make it malformed.
  void Feed(std::string_view bytes);

  bool done() const { return stage_ == Stage::kDone; }
  bool malformed() const { return malformed_; }
  int status() const { return status_; }
  bool streamed() const { return streamed_; }
  bool closes_connection() const { return closes_; }
  int64_t frames() const { return frames_; }
  bool has_text() const { return has_text_; }    // a frame with text or reasoning in it came
  bool saw_done() const { return saw_done_; }    // data: [DONE]
  bool saw_error() const { return saw_error_; }  // a frame that is an error
  int64_t completion_tokens() const { return tokens_; }  // of the last usage that came

 private:
  enum class Stage { kHead, kLength, kChunkSize, kChunk, kChunkEnd, kLastLine, kDone };

  // Appends to pending_ up to `end_mark`, which is left out; false when it has not come yet.
  bool ReadUntil(std::string_view end_mark, std::string_view* bytes);
  void ReadHead(std::string_view head);
  void ReadField(std::string_view line);
  void TakePayload(std::string_view payload);
  void TakeFrame(std::string_view frame);
  void LookForTokens(std::string_view json);

  Stage stage_ = Stage::kHead;
  std::string pending_;   // bytes that do not make a whole line yet
  std::string payload_;   // a whole answer, or the beginning of a frame
  size_t remaining_ = 0;  // of the body or of the chunk
  int status_ = 0;
  bool streamed_ = false;
  bool closes_ = false;
  bool malformed_ = false;
  bool has_text_ = false;
  bool saw_done_ = false;
  bool saw_error_ = false;
  int64_t frames_ = 0;
  int64_t tokens_ = 0;
};

}  // namespace vallm::bench

#endif  // VALLM_TESTS_BENCH_LOAD_ANSWER_READER_H_
