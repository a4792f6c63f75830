// One choice's tokens to the gateway's events: the parser of tokenizer_service/output, and what
// goes by tokens rather than by text: counts, log-probabilities, usage. The parser runs here and
// not behind ParseStream, because a message there and back costs a hundred times what parsing a
// token does.
//
// Not thread-safe.
#ifndef VALLM_GATEWAY_GENERATION_ANSWER_PARSER_H_
#define VALLM_GATEWAY_GENERATION_ANSWER_PARSER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/generation/engine_output.h"
#include "gateway/generation/event.h"
#include "tokenizer_service/bpe/token_table.h"
#include "tokenizer_service/output/output_parser.h"

namespace vallm::gateway {

class AnswerParser {
 public:
  // `with_ids`: events have their token_ids.
  // Errors: INVALID_ARGUMENT for stop strings and tools that cannot be (OutputParser::Create).
  static absl::StatusOr<std::unique_ptr<AnswerParser>> Create(
      int choice, std::shared_ptr<const tokenizer::TokenTable> texts,
      tokenizer::OutputOptions options, bool with_ids = false);

  // Parses the tokens of `engine` that were not parsed before, up to a stop string, and once its
  // answer is complete, ends. What comes of it is appended to `out`.
  // Errors: RESOURCE_EXHAUSTED when an answer holds back more text than thousands of them may.
  absl::Status Parse(const EngineOutput& engine, std::vector<GenerationEvent>* out);

  // Tokens parsed, up to and including a stop string.
  int64_t parsed_count() const { return parsed_; }
  bool stopped() const { return stop_hit_.has_value(); }
  bool finished() const { return finished_; }

 private:
  AnswerParser(int choice, std::shared_ptr<const tokenizer::TokenTable> texts,
               bool has_stop_strings, bool with_ids);

  void Take(tokenizer::Event&& event, const EngineOutput& engine,
            std::vector<GenerationEvent>* out);
  // The ids and log-probabilities of the tokens that `event` lists.
  void TakeTokens(const tokenizer::Event& event, const EngineOutput& engine);
  void SetFinish(const EngineOutput& engine, GenerationEvent* event) const;

  const int choice_;
  const std::shared_ptr<const tokenizer::TokenTable> texts_;
  // Stop strings: tokens are parsed one by one then, to know how many the text up to the stop took.
  const bool one_by_one_;
  const bool with_ids_;
  std::unique_ptr<tokenizer::OutputParser> parser_;
  int64_t parsed_ = 0;
  int64_t listed_ = 0;                          // tokens, in the events so far
  std::vector<TokenLogprobs> unsent_logprobs_;  // for the next event
  std::vector<int32_t> unsent_ids_;             // likewise
  std::optional<std::string> stop_hit_;
  bool finished_ = false;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_ANSWER_PARSER_H_
