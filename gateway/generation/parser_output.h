// What the tokenizer's parser has made of one choice's tokens: takes the events of its stream and
// gives out the gateway's own. A stream that broke is opened again and fed the same tokens from the
// first one on; what was given out before is then recognised and left out, to the byte, however the
// tokens were grouped in messages this time. That is exact because events depend on the tokens
// alone.
//
// Not thread-safe.
#ifndef VALLM_GATEWAY_GENERATION_PARSER_OUTPUT_H_
#define VALLM_GATEWAY_GENERATION_PARSER_OUTPUT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/generation/engine_output.h"
#include "gateway/generation/event.h"
#include "vallm/v1/tokenizer.pb.h"

namespace vallm::gateway {

class ParserOutput {
 public:
  explicit ParserOutput(int choice) : choice_(choice) {}

  // A new stream begins.
  void Restart();

  // The stream has answered a message of `count` tokens, its events follow. Returns how many of
  // them no stream had answered before.
  int AddAnswer(int count);
  // Takes an event of that answer; what is new of it is appended to `out`.
  // Errors: INTERNAL when the new stream parses the same tokens into something else.
  absl::Status Add(v1::ParseEvent&& event, const EngineOutput& engine,
                   std::vector<GenerationEvent>* out);

  // Tokens that any stream has answered, and of these, the ones up to a stop string.
  int64_t answered_count() const { return answered_; }
  int64_t parsed_count() const { return parsed_; }
  bool stopped() const { return stop_hit_.has_value(); }
  bool finished() const { return finished_; }

 private:
  // Text of one kind that was given out without another between.
  struct Segment {
    GenerationEvent::Kind kind;
    int tool_index;
    size_t bytes;
  };

  // Takes from `event` what was given out before. Returns whether anything is left.
  absl::StatusOr<bool> SkipKnown(GenerationEvent* event);
  void Remember(const GenerationEvent& event);
  // The log-probabilities of the tokens that `event` lists, the first time it does.
  void TakeLogprobs(const v1::ParseEvent& event, const EngineOutput& engine);
  GenerationEvent FinishEvent(v1::ParseFinish&& finish, const EngineOutput& engine) const;

  const int choice_;

  // Of this stream.
  int64_t stream_answered_ = 0;
  int64_t stream_listed_ = 0;  // tokens, in token_runs
  size_t segment_ = 0;         // the next of segments_ to be skipped...
  size_t segment_bytes_ = 0;   // ...of which so much has been

  // Of all.
  int64_t answered_ = 0;
  int64_t parsed_ = 0;
  int64_t listed_ = 0;
  std::vector<Segment> segments_;
  std::vector<TokenLogprobs> unsent_logprobs_;  // for the next event
  std::optional<std::string> stop_hit_;
  bool finished_ = false;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_PARSER_OUTPUT_H_
