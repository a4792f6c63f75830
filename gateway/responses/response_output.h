// A response as it grows: its items, and their JSON at any time. What a stream tells piece by piece
// and what a whole answer says at once are written by this same code. Not thread-safe.
#ifndef VALLM_GATEWAY_RESPONSES_RESPONSE_OUTPUT_H_
#define VALLM_GATEWAY_RESPONSES_RESPONSE_OUTPUT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/openai/answer_encoder.h"
#include "gateway/responses/response_store.h"

namespace vallm::gateway {

struct OutputItem {
  enum class Type { kReasoning, kMessage, kFunctionCall };
  Type type = Type::kMessage;
  std::string id;
  std::string call_id;                       // kFunctionCall
  std::string name;                          // kFunctionCall
  std::string text;                          // thought, text or arguments
  std::vector<TokenLogprobs> logprobs = {};  // kMessage, of the tokens of its text
};

// "in_progress", "completed", "incomplete", "failed".
using ResponseStatus = std::string_view;

class ResponseOutput {
 public:
  // `settings` are members of the response's JSON, without braces.
  ResponseOutput(AnswerHeader header, std::string settings, bool thought_as_summary)
      : header_(std::move(header)),
        settings_(std::move(settings)),
        thought_as_summary_(thought_as_summary) {}

  bool thought_as_summary() const { return thought_as_summary_; }
  const AnswerHeader& header() const { return header_; }
  const std::vector<OutputItem>& items() const { return items_; }
  int last_index() const { return static_cast<int>(items_.size()) - 1; }
  OutputItem& last() { return items_.back(); }

  // Whether `event` belongs to the last item and does not begin another one.
  bool GoesOn(const GenerationEvent& event) const;
  // Whether `event` says nothing that would be worth an item.
  bool IsIdle(const GenerationEvent& event) const;
  // Begins the item that `event` is of. REQUIRES: not a kFinish.
  void Begin(const GenerationEvent& event);
  // Adds what `event` has to the last item.
  void Append(const GenerationEvent& event);

  // {"id":…,"object":"response",…}. The last item has the status of the response, those before it
  // are completed. `usage` and `error` may be null.
  void AppendResponse(ResponseStatus status, const TokenUsage* usage, const absl::Status* error,
                      std::string* out) const;
  // An item; one that has just begun has no parts yet.
  void AppendItem(const OutputItem& item, ResponseStatus status, bool begun,
                  std::string* out) const;
  // The one part of a message or a thought, with `text` for its text.
  void AppendPart(const OutputItem& item, std::string_view text, std::string* out) const;
  // [{"token":…},…], empty if no log-probabilities were asked for.
  void AppendTokens(const std::vector<TokenLogprobs>& logprobs, std::string* out) const;

  // The items as they are stored.
  std::vector<ResponseItem> StoredItems(ResponseStatus status) const;

 private:
  const AnswerHeader header_;
  const std::string settings_;
  const bool thought_as_summary_;
  std::vector<OutputItem> items_;
};

// Of the tokens of `event` those that are in its text, if it is a message's.
std::vector<TokenLogprobs> TextLogprobs(const GenerationEvent& event);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_RESPONSES_RESPONSE_OUTPUT_H_
