// Events to OpenAI's JSON: a stream of chunks or one whole body, for chats and for completions. A
// whole body is the fold of the very events that the chunks are made of.
//
// One encoder serves one response; used by one thread.
#ifndef VALLM_GATEWAY_OPENAI_ANSWER_ENCODER_H_
#define VALLM_GATEWAY_OPENAI_ANSWER_ENCODER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gateway/generation/event.h"
#include "tokenizer_service/bpe/token_table.h"

namespace vallm::gateway {

// What all chunks of a response have in common.
struct AnswerHeader {
  std::string id;
  int64_t created = 0;  // Unix time
  std::string model;
  std::string system_fingerprint;
  int choice_count = 1;
  // Of each best_of choices in a row, whole answers have the n with the highest log-probability per
  // token. Streams have them all.
  int best_of = 1;
  int n = 1;
  int64_t prompt_tokens = 0;  // over all prompts
  bool include_usage = false;
  bool continuous_usage = false;
  bool logprobs = false;         // asked for: they are in each choice
  bool prompt_logprobs = false;  // asked for
  bool metrics = false;          // asked for; there are none of several choices
  bool token_ids = false;        // asked for: those of each choice
  // Of each prompt, where asked for; else empty.
  std::vector<std::vector<int32_t>> prompt_token_ids = {};
  std::vector<std::string> prompt_texts = {};
  // Of each prompt, what comes before its answers; empty: nothing. With logprobs the prompt's
  // tokens come before those of the answer, too.
  std::vector<std::string> echo_texts = {};
  // The text of tokens where any log-probabilities were asked for; else null.
  std::shared_ptr<const tokenizer::TokenTable> token_table = nullptr;
};

// Writes Server-Sent Events, without comment lines (the vendor's benchmark client parses every line
// as JSON). A stream ends with what End or Fail writes, one of them, once.
class StreamEncoder {
 public:
  virtual ~StreamEncoder() = default;
  // What comes before the first event.
  virtual void Begin(std::string* out) = 0;
  virtual void Encode(const GenerationEvent& event, std::string* out) = 0;
  // After the last event.
  virtual void End(const TokenUsage& usage, std::string* out) = 0;
  // Instead of further events.
  virtual void Fail(const absl::Status& error, std::string* out) = 0;
};

class WholeEncoder {
 public:
  virtual ~WholeEncoder() = default;
  virtual void Add(const GenerationEvent& event) = 0;
  // The body. Call once, after the last event.
  virtual std::string Body(const TokenUsage& usage) = 0;
};

std::unique_ptr<StreamEncoder> NewChatStreamEncoder(AnswerHeader header);
std::unique_ptr<WholeEncoder> NewChatWholeEncoder(AnswerHeader header);
std::unique_ptr<StreamEncoder> NewCompletionStreamEncoder(AnswerHeader header);
std::unique_ptr<WholeEncoder> NewCompletionWholeEncoder(AnswerHeader header);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_ANSWER_ENCODER_H_
