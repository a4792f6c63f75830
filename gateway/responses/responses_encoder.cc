#include "gateway/responses/responses_encoder.h"

#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "gateway/openai/json_text.h"
#include "gateway/responses/response_output.h"

namespace vallm::gateway {
namespace {

using Kind = GenerationEvent::Kind;
using Type = OutputItem::Type;

// The status of a response whose choice has finished so.
ResponseStatus StatusOf(const std::string& finish_reason) {
  return finish_reason == "length" ? "incomplete" : "completed";
}

// The response as JSON, which `keep` gets too.
std::string Conclude(const ResponseOutput& output, ResponseStatus status, const TokenUsage& usage,
                     const std::function<void(StoredResponse)>& keep) {
  std::string body;
  output.AppendResponse(status, &usage, /*error=*/nullptr, &body);
  if (keep != nullptr) {
    keep({.id = output.header().id,
          .body = body,
          .input = {},
          .output = output.StoredItems(status)});
  }
  return body;
}

class ResponsesStreamEncoder final : public StreamEncoder {
 public:
  ResponsesStreamEncoder(AnswerHeader header, ResponseFrame frame)
      : output_(std::move(header), std::move(frame.settings), frame.thought_as_summary),
        keep_(std::move(frame.keep)) {}

  void Begin(std::string* out) override {
    for (const char* type : {"response.created", "response.in_progress"}) {
      Open(type, out);
      out->append(",\"response\":");
      output_.AppendResponse("in_progress", /*usage=*/nullptr, /*error=*/nullptr, out);
      Close(out);
    }
  }

  void Encode(const GenerationEvent& event, std::string* out) override {
    if (event.kind == Kind::kFinish) {
      status_ = StatusOf(event.text);
      return CloseItem(status_, out);
    }
    if (output_.IsIdle(event)) return;
    if (!output_.GoesOn(event)) {
      CloseItem("completed", out);
      output_.Begin(event);
      OpenItem(out);
    }
    output_.Append(event);
    if (event.kind != Kind::kToolCallStart) AppendDelta(event, out);
  }

  void End(const TokenUsage& usage, std::string* out) override {
    Open(status_ == "incomplete" ? "response.incomplete" : "response.completed", out);
    absl::StrAppend(out, ",\"response\":", Conclude(output_, status_, usage, keep_));
    Close(out);
  }

  void Fail(const absl::Status& error, std::string* out) override {
    Open("response.failed", out);
    out->append(",\"response\":");
    output_.AppendResponse("failed", /*usage=*/nullptr, &error, out);
    Close(out);
  }

 private:
  void Open(std::string_view type, std::string* out) {
    absl::StrAppend(out, "event: ", ToAbsl(type), "\ndata: {\"type\":\"", ToAbsl(type),
                    "\",\"sequence_number\":", sequence_number_++);
  }
  static void Close(std::string* out) { out->append("}\n\n"); }

  // An event about the last item.
  void OpenOfItem(std::string_view type, std::string* out) {
    Open(type, out);
    absl::StrAppend(out, ",\"output_index\":", output_.last_index(), ",\"item_id\":\"",
                    output_.last().id, "\"");
  }

  // An event about the part of the last item, a message or a thought.
  void OpenOfPart(std::string_view event, std::string* out) {
    const bool summary = output_.last().type == Type::kReasoning && output_.thought_as_summary();
    OpenOfItem(absl::StrCat("response.", ToAbsl(event)), out);
    out->append(summary ? ",\"summary_index\":0" : ",\"content_index\":0");
  }

  // "output_text", "reasoning_text" or "reasoning_summary_text": what events call the text.
  std::string_view TextName() {
    if (output_.last().type == Type::kMessage) return "output_text";
    return output_.thought_as_summary() ? "reasoning_summary_text" : "reasoning_text";
  }
  std::string_view PartName() {
    const bool summary = output_.last().type == Type::kReasoning && output_.thought_as_summary();
    return summary ? "reasoning_summary_part" : "content_part";
  }

  void AppendWholeItem(std::string_view event, ResponseStatus status, bool begun,
                       std::string* out) {
    Open(event, out);
    absl::StrAppend(out, ",\"output_index\":", output_.last_index(), ",\"item\":");
    output_.AppendItem(output_.last(), status, begun, out);
    Close(out);
  }

  void AppendWholePart(std::string_view event, std::string_view text, std::string* out) {
    OpenOfPart(absl::StrCat(ToAbsl(PartName()), ToAbsl(event)), out);
    out->append(",\"part\":");
    output_.AppendPart(output_.last(), text, out);
    Close(out);
  }

  void OpenItem(std::string* out) {
    item_open_ = true;
    AppendWholeItem("response.output_item.added", "in_progress", /*begun=*/true, out);
    if (output_.last().type != Type::kFunctionCall) AppendWholePart(".added", "", out);
  }

  void AppendDelta(const GenerationEvent& event, std::string* out) {
    if (event.kind == Kind::kToolCallArguments) {
      OpenOfItem("response.function_call_arguments.delta", out);
    } else {
      OpenOfPart(absl::StrCat(ToAbsl(TextName()), ".delta"), out);
    }
    out->append(",\"delta\":");
    AppendJsonString(event.text, out);
    AppendLogprobs(TextLogprobs(event), out);
    Close(out);
  }

  void AppendLogprobs(const std::vector<TokenLogprobs>& logprobs, std::string* out) {
    if (output_.last().type != Type::kMessage) return;
    out->append(",\"logprobs\":");
    output_.AppendTokens(logprobs, out);
  }

  void CloseItem(ResponseStatus status, std::string* out) {
    if (!std::exchange(item_open_, false)) return;
    const OutputItem& item = output_.last();
    if (item.type == Type::kFunctionCall) {
      OpenOfItem("response.function_call_arguments.done", out);
      out->append(",\"name\":");
      AppendJsonString(item.name, out);
      out->append(",\"arguments\":");
      AppendJsonString(item.text, out);
      Close(out);
    } else {
      OpenOfPart(absl::StrCat(ToAbsl(TextName()), ".done"), out);
      out->append(",\"text\":");
      AppendJsonString(item.text, out);
      AppendLogprobs(item.logprobs, out);
      Close(out);
      AppendWholePart(".done", item.text, out);
    }
    AppendWholeItem("response.output_item.done", status, /*begun=*/false, out);
  }

  ResponseOutput output_;
  const std::function<void(StoredResponse)> keep_;
  int64_t sequence_number_ = 0;  // of the next event
  bool item_open_ = false;       // the last one
  ResponseStatus status_ = "completed";
};

class ResponsesWholeEncoder final : public WholeEncoder {
 public:
  ResponsesWholeEncoder(AnswerHeader header, ResponseFrame frame)
      : output_(std::move(header), std::move(frame.settings), frame.thought_as_summary),
        keep_(std::move(frame.keep)) {}

  void Add(const GenerationEvent& event) override {
    if (event.kind == Kind::kFinish) {
      status_ = StatusOf(event.text);
      return;
    }
    if (output_.IsIdle(event)) return;
    if (!output_.GoesOn(event)) output_.Begin(event);
    output_.Append(event);
  }

  std::string Body(const TokenUsage& usage) override {
    return Conclude(output_, status_, usage, keep_);
  }

 private:
  ResponseOutput output_;
  const std::function<void(StoredResponse)> keep_;
  ResponseStatus status_ = "completed";
};

}  // namespace

std::unique_ptr<StreamEncoder> NewResponsesStreamEncoder(AnswerHeader header, ResponseFrame frame) {
  return std::make_unique<ResponsesStreamEncoder>(std::move(header), std::move(frame));
}

std::unique_ptr<WholeEncoder> NewResponsesWholeEncoder(AnswerHeader header, ResponseFrame frame) {
  return std::make_unique<ResponsesWholeEncoder>(std::move(header), std::move(frame));
}

}  // namespace vallm::gateway
