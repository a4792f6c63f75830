// JSON written by hand where it is written once per token. Pure.
#ifndef VALLM_GATEWAY_OPENAI_JSON_TEXT_H_
#define VALLM_GATEWAY_OPENAI_JSON_TEXT_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "gateway/generation/event.h"
#include "gateway/openai/answer_encoder.h"

namespace vallm::gateway {

// Appends `text` as a JSON string, quotes included. REQUIRES: valid UTF-8.
void AppendJsonString(std::string_view text, std::string* out);

// Appends {"prompt_tokens":…,…} with all details, always the same keys.
void AppendUsage(const TokenUsage& usage, std::string* out);

// Appends vLLM's metrics of a request, or null where there are none.
void AppendMetrics(const TokenUsage& usage, std::string* out);

// Appends [1,2,3].
void AppendTokenIds(std::span<const int32_t> ids, std::string* out);

// Appends `,"prompt_token_ids":[…],"prompt_text":…` of a prompt, each as far as asked for.
void AppendPromptFields(const AnswerHeader& header, size_t prompt, std::string* out);

// Appends null, a string or a number.
void AppendStopReason(const StopReason& reason, std::string* out);

// `data: {"id":…,"object":<object>,"created":…,"model":…,"system_fingerprint":…,"choices":[`
std::string ChunkPrefix(const AnswerHeader& header, std::string_view object);

// Appends the end of a stream: a chunk that begins with `prefix` and has no choices but usage and
// metrics, as far as `header` says, then "data: [DONE]".
void AppendStreamEnd(std::string_view prefix, const AnswerHeader& header, const TokenUsage& usage,
                     std::string* out);

// Appends the end of a stream that failed: the error, then "data: [DONE]".
void AppendStreamError(const absl::Status& error, std::string* out);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_JSON_TEXT_H_
