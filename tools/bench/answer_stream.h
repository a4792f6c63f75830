// Follows the server-sent events of one streamed answer: when chunks came, what they say.
//
// A chunk is an event with something in `choices`, as vLLM's benchmark has it: also the one with
// the role only and the one with the finish reason only. The tokens come from `usage`, so that
// chunks of several tokens do not falsify them.
#ifndef VALLM_TOOLS_BENCH_ANSWER_STREAM_H_
#define VALLM_TOOLS_BENCH_ANSWER_STREAM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/chat/sse_parser.h"

namespace vallm::tools {

class AnswerStream {
 public:
  // Takes bytes of the body that came at `now`, in seconds.
  void Feed(std::string_view bytes, double now);

  int64_t chunks() const { return chunks_; }
  double first_chunk_s() const { return first_s_; }
  double last_chunk_s() const { return last_s_; }
  const std::vector<double>& gaps_s() const { return gaps_s_; }     // between chunks: chunks() - 1
  const std::string& text() const { return text_; }                 // reasoning included
  int64_t completion_tokens() const { return completion_tokens_; }  // -1: no usage came
  int64_t prompt_tokens() const { return prompt_tokens_; }          // -1: no usage came
  const std::string& error() const { return error_; }  // of an event that is one; empty: none came

 private:
  void TakeEvent(std::string_view data, double now);

  SseParser parser_;
  int64_t chunks_ = 0;
  double first_s_ = 0;
  double last_s_ = 0;
  std::vector<double> gaps_s_;
  std::string text_;
  int64_t completion_tokens_ = -1;
  int64_t prompt_tokens_ = -1;
  std::string error_;
};

// The message of an error body {"error": {"message": ...}}; the body itself, cut to a line, where
// it is no such thing.
std::string ErrorMessage(std::string_view body);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_ANSWER_STREAM_H_
