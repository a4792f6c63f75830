// chat.completion and chat.completion.chunk.

#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/openai/answer_encoder.h"
#include "gateway/openai/json_text.h"
#include "gateway/openai/logprobs_text.h"
#include "gateway/random_id.h"

namespace vallm::gateway {
namespace {

using Kind = GenerationEvent::Kind;

class ChatStreamEncoder final : public StreamEncoder {
 public:
  explicit ChatStreamEncoder(AnswerHeader header)
      : header_(std::move(header)), prefix_(ChunkPrefix(header_, "chat.completion.chunk")) {
    AppendPromptFields(header_, /*prompt=*/0, &prompt_fields_);
  }

  void Begin(std::string* out) override {
    for (int choice = 0; choice < header_.choice_count; ++choice) {
      OpenDelta(choice, out);
      out->append("\"role\":\"assistant\",\"content\":\"\"");
      CloseDelta({}, {}, /*completion_tokens=*/0, out);
    }
  }

  void Encode(const GenerationEvent& event, std::string* out) override {
    if (event.kind == Kind::kFinish) return EncodeFinish(event, out);
    OpenDelta(event.choice, out);
    switch (event.kind) {
      case Kind::kReasoning: {
        // Both names: clients read the one or the other.
        std::string text;
        AppendJsonString(event.text, &text);
        absl::StrAppend(out, "\"reasoning_content\":", text, ",\"reasoning\":", text);
        break;
      }
      case Kind::kToolCallStart:
        absl::StrAppend(out, "\"tool_calls\":[{\"index\":", event.tool_index, ",\"id\":\"",
                        NewId("call_"), "\",\"type\":\"function\",\"function\":{\"name\":");
        AppendJsonString(event.text, out);
        out->append(",\"arguments\":\"\"}}]");
        break;
      case Kind::kToolCallArguments:
        absl::StrAppend(out, "\"tool_calls\":[{\"index\":", event.tool_index,
                        ",\"function\":{\"arguments\":");
        AppendJsonString(event.text, out);
        out->append("}}]");
        break;
      default:
        out->append("\"content\":");
        AppendJsonString(event.text, out);
    }
    CloseDelta(event.logprobs, event.token_ids, event.usage.completion_tokens, out);
  }

  void End(const TokenUsage& usage, std::string* out) override {
    AppendStreamEnd(prefix_, header_, usage, out);
  }

  void Fail(const absl::Status& error, std::string* out) override { AppendStreamError(error, out); }

 private:
  void OpenDelta(int choice, std::string* out) {
    absl::StrAppend(out, prefix_, "{\"index\":", choice, ",\"delta\":{");
  }

  void CloseDelta(const std::vector<TokenLogprobs>& logprobs, std::span<const int32_t> token_ids,
                  int64_t completion_tokens, std::string* out) {
    out->append("},\"logprobs\":");
    AppendLogprobs(logprobs, out);
    out->append(",\"finish_reason\":null");
    CloseChoice(token_ids, out);
    Close(completion_tokens, out);
  }

  void AppendLogprobs(const std::vector<TokenLogprobs>& logprobs, std::string* out) const {
    if (logprobs.empty()) {
      out->append("null");
    } else {
      AppendChatLogprobs(logprobs, *header_.token_table, out);
    }
  }

  void EncodeFinish(const GenerationEvent& event, std::string* out) {
    OpenDelta(event.choice, out);
    out->append("},\"logprobs\":");
    AppendLogprobs(event.logprobs, out);
    out->append(",\"finish_reason\":");
    AppendJsonString(event.text, out);
    out->append(",\"stop_reason\":");
    AppendStopReason(event.stop_reason, out);
    CloseChoice(event.token_ids, out);
    Close(event.usage.completion_tokens, out);
  }

  void CloseChoice(std::span<const int32_t> token_ids, std::string* out) const {
    if (header_.token_ids) {
      out->append(",\"token_ids\":");
      AppendTokenIds(token_ids, out);
    }
    out->append("}]");
  }

  void Close(int64_t completion_tokens, std::string* out) {
    out->append(std::exchange(prompt_fields_, {}));
    if (header_.continuous_usage) {
      out->append(",\"usage\":");
      AppendUsage({.prompt_tokens = header_.prompt_tokens, .completion_tokens = completion_tokens},
                  out);
    } else if (header_.include_usage) {
      out->append(",\"usage\":null");
    }
    out->append("}\n\n");
  }

  const AnswerHeader header_;
  const std::string prefix_;
  std::string prompt_fields_;  // of the first chunk
};

class ChatWholeEncoder final : public WholeEncoder {
 public:
  explicit ChatWholeEncoder(AnswerHeader header)
      : header_(std::move(header)), choices_(static_cast<size_t>(header_.choice_count)) {}

  void Add(const GenerationEvent& event) override {
    Choice& choice = choices_[static_cast<size_t>(event.choice)];
    choice.logprobs.insert(choice.logprobs.end(), event.logprobs.begin(), event.logprobs.end());
    choice.token_ids.insert(choice.token_ids.end(), event.token_ids.begin(), event.token_ids.end());
    switch (event.kind) {
      case Kind::kReasoning:
        choice.reasoning += event.text;
        break;
      case Kind::kContent:
        choice.content += event.text;
        break;
      case Kind::kToolCallStart:
        choice.calls.push_back({event.text, ""});
        break;
      case Kind::kToolCallArguments:
        choice.calls.back().arguments += event.text;
        break;
      case Kind::kFinish:
        choice.finish_reason = event.text;
        choice.stop_reason = event.stop_reason;
        if (!event.prompt_logprobs.empty()) prompt_logprobs_ = event.prompt_logprobs;
    }
  }

  std::string Body(const TokenUsage& usage) override {
    std::string out = ChunkPrefix(header_, "chat.completion").substr(6);  // without "data: "
    for (size_t i = 0; i < choices_.size(); ++i) {
      if (i > 0) out.push_back(',');
      AppendChoice(i, &out);
    }
    out.append("],\"usage\":");
    AppendUsage(usage, &out);
    if (header_.prompt_logprobs) {
      out.append(",\"prompt_logprobs\":");
      AppendPromptLogprobs(std::span(prompt_logprobs_).subspan(1), *header_.token_table, &out);
    }
    AppendPromptFields(header_, /*prompt=*/0, &out);
    if (header_.metrics) {
      out.append(",\"metrics\":");
      AppendMetrics(usage, &out);
    }
    out.append("}");
    return out;
  }

 private:
  struct ToolCall {
    std::string name;
    std::string arguments;
  };
  struct Choice {
    std::string reasoning;
    std::string content;
    std::vector<ToolCall> calls;
    std::string finish_reason;
    StopReason stop_reason;
    std::vector<TokenLogprobs> logprobs;
    std::vector<int32_t> token_ids;
  };

  void AppendChoice(size_t index, std::string* out) {
    const Choice& choice = choices_[index];
    absl::StrAppend(out, "{\"index\":", index, ",\"message\":{\"role\":\"assistant\",\"content\":");
    // Null only beside tool calls: clients of plain chats expect a string.
    if (choice.content.empty() && !choice.calls.empty()) {
      out->append("null");
    } else {
      AppendJsonString(choice.content, out);
    }
    for (const char* name : {"reasoning_content", "reasoning"}) {
      absl::StrAppend(out, ",\"", name, "\":");
      if (choice.reasoning.empty()) {
        out->append("null");
      } else {
        AppendJsonString(choice.reasoning, out);
      }
    }
    out->append(",\"refusal\":null");
    if (!choice.calls.empty()) AppendToolCalls(choice.calls, out);
    out->append("},\"logprobs\":");
    if (!header_.logprobs) {
      out->append("null");
    } else {
      AppendChatLogprobs(choice.logprobs, *header_.token_table, out);
    }
    out->append(",\"finish_reason\":");
    AppendJsonString(choice.finish_reason, out);
    out->append(",\"stop_reason\":");
    AppendStopReason(choice.stop_reason, out);
    if (header_.token_ids) {
      out->append(",\"token_ids\":");
      AppendTokenIds(choice.token_ids, out);
    }
    out->append("}");
  }

  static void AppendToolCalls(const std::vector<ToolCall>& calls, std::string* out) {
    out->append(",\"tool_calls\":[");
    for (const ToolCall& call : calls) {
      if (&call != &calls.front()) out->push_back(',');
      absl::StrAppend(out, "{\"id\":\"", NewId("call_"),
                      "\",\"type\":\"function\",\"function\":{\"name\":");
      AppendJsonString(call.name, out);
      out->append(",\"arguments\":");
      AppendJsonString(call.arguments, out);
      out->append("}}");
    }
    out->push_back(']');
  }

  const AnswerHeader header_;
  std::vector<Choice> choices_;
  std::vector<TokenLogprobs> prompt_logprobs_;
};

}  // namespace

std::unique_ptr<StreamEncoder> NewChatStreamEncoder(AnswerHeader header) {
  return std::make_unique<ChatStreamEncoder>(std::move(header));
}

std::unique_ptr<WholeEncoder> NewChatWholeEncoder(AnswerHeader header) {
  return std::make_unique<ChatWholeEncoder>(std::move(header));
}

}  // namespace vallm::gateway
