// Looks through the body of an answer, whole or as server-sent events, for what is counted, without
// parsing it as JSON. For one answer.
#ifndef VALLM_TESTS_BENCH_LOAD_FRAME_SCANNER_H_
#define VALLM_TESTS_BENCH_LOAD_FRAME_SCANNER_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace vallm::bench {

class FrameScanner {
 public:
  void Begin(bool streamed) { streamed_ = streamed; }
  void Feed(std::string_view bytes);
  // No more will come.
  void End();

  bool streamed() const { return streamed_; }
  int64_t frames() const { return frames_; }
  bool has_text() const { return has_text_; }    // a frame with text or reasoning in it came
  bool saw_done() const { return saw_done_; }    // data: [DONE]
  bool saw_error() const { return saw_error_; }  // a frame that is an error
  int64_t completion_tokens() const { return tokens_; }  // of the last usage that came

 private:
  void TakeFrame(std::string_view frame);
  void LookForTokens(std::string_view json);

  std::string payload_;  // a whole answer, or the beginning of a frame
  bool streamed_ = false;
  bool has_text_ = false;
  bool saw_done_ = false;
  bool saw_error_ = false;
  int64_t frames_ = 0;
  int64_t tokens_ = 0;
};

}  // namespace vallm::bench

#endif  // VALLM_TESTS_BENCH_LOAD_FRAME_SCANNER_H_
