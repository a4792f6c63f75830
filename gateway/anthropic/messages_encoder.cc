#include "gateway/anthropic/messages_encoder.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "gateway/anthropic/errors.h"
#include "gateway/openai/json_text.h"
#include "gateway/random_id.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Kind = GenerationEvent::Kind;

// Tokens from the prefix cache are counted apart from the rest of the prompt.
void AppendMessageUsage(const TokenUsage& usage, std::string* out) {
  absl::StrAppend(out, "{\"input_tokens\":", usage.prompt_tokens - usage.cached_tokens,
                  ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":",
                  usage.cached_tokens, ",\"output_tokens\":", usage.completion_tokens, "}");
}

// "stop_reason":…,"stop_sequence":… as the kFinish event says.
void AppendStop(const GenerationEvent& finish, std::string* out) {
  const auto* sequence = std::get_if<std::string>(&finish.stop_reason);
  const char* reason = finish.text == "length"       ? "max_tokens"
                       : finish.text == "tool_calls" ? "tool_use"
                       : sequence != nullptr         ? "stop_sequence"
                                                     : "end_turn";
  absl::StrAppend(out, "\"stop_reason\":\"", reason, "\",\"stop_sequence\":");
  if (sequence != nullptr) {
    AppendJsonString(*sequence, out);
  } else {
    out->append("null");
  }
}

// {"id":…,"type":"message","role":"assistant","model":…,"content":[
void AppendMessageStart(const AnswerHeader& header, std::string* out) {
  out->append("{\"id\":");
  AppendJsonString(header.id, out);
  out->append(",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
  AppendJsonString(header.model, out);
  out->append(",\"content\":[");
}

// A block whose text, thought or input is still empty, but for the brace that closes it.
void AppendBlockStart(Kind kind, std::string_view name, std::string* out) {
  switch (kind) {
    case Kind::kReasoning:
      out->append("{\"type\":\"thinking\",\"signature\":\"\",\"thinking\":");
      return;
    case Kind::kToolCallStart:
      absl::StrAppend(out, "{\"type\":\"tool_use\",\"id\":\"", NewId("toolu_"), "\",\"name\":");
      AppendJsonString(name, out);
      out->append(",\"input\":");
      return;
    default:
      out->append("{\"type\":\"text\",\"text\":");
  }
}

class MessagesStreamEncoder final : public StreamEncoder {
 public:
  explicit MessagesStreamEncoder(AnswerHeader header) : header_(std::move(header)) {}

  void Begin(std::string* out) override {
    OpenFrame("message_start", out);
    out->append(",\"message\":");
    AppendMessageStart(header_, out);
    out->append("],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
    AppendMessageUsage({.prompt_tokens = header_.prompt_tokens}, out);
    out->append("}");
    CloseFrame(out);
  }

  void Encode(const GenerationEvent& event, std::string* out) override {
    switch (event.kind) {
      case Kind::kReasoning:
        EnterBlock(Kind::kReasoning, out);
        return AppendDelta("thinking_delta", "thinking", event.text, out);
      case Kind::kToolCallStart:
        CloseBlock(out);
        return OpenBlock(Kind::kToolCallStart, event.text, out);
      case Kind::kToolCallArguments:
        return AppendDelta("input_json_delta", "partial_json", event.text, out);
      case Kind::kFinish:
        finish_ = event;
        return;
      case Kind::kContent:
        EnterBlock(Kind::kContent, out);
        return AppendDelta("text_delta", "text", event.text, out);
    }
  }

  void End(const TokenUsage& usage, std::string* out) override {
    CloseBlock(out);
    OpenFrame("message_delta", out);
    out->append(",\"delta\":{");
    AppendStop(finish_, out);
    out->append("},\"usage\":");
    AppendMessageUsage(usage, out);
    CloseFrame(out);
    OpenFrame("message_stop", out);
    CloseFrame(out);
  }

  void Fail(const absl::Status& error, std::string* out) override {
    absl::StrAppend(out, "event: error\ndata: ", MessagesErrorBody(error), "\n\n");
  }

 private:
  static void OpenFrame(std::string_view type, std::string* out) {
    absl::StrAppend(out, "event: ", ToAbsl(type), "\ndata: {\"type\":\"", ToAbsl(type), "\"");
  }
  static void CloseFrame(std::string* out) { out->append("}\n\n"); }

  void OpenBlock(Kind kind, std::string_view name, std::string* out) {
    block_ = kind;
    OpenFrame("content_block_start", out);
    absl::StrAppend(out, ",\"index\":", index_, ",\"content_block\":");
    AppendBlockStart(kind, name, out);
    out->append(kind == Kind::kToolCallStart ? "{}}" : "\"\"}");
    CloseFrame(out);
  }

  // Goes on with the block of that kind that is open, or opens one.
  void EnterBlock(Kind kind, std::string* out) {
    if (block_ == kind) return;
    CloseBlock(out);
    OpenBlock(kind, "", out);
  }

  void CloseBlock(std::string* out) {
    if (!block_.has_value()) return;
    OpenFrame("content_block_stop", out);
    absl::StrAppend(out, ",\"index\":", index_++);
    CloseFrame(out);
    block_.reset();
  }

  void AppendDelta(std::string_view type, std::string_view member, std::string_view text,
                   std::string* out) const {
    OpenFrame("content_block_delta", out);
    absl::StrAppend(out, ",\"index\":", index_, ",\"delta\":{\"type\":\"", ToAbsl(type), "\",\"",
                    ToAbsl(member), "\":");
    AppendJsonString(text, out);
    out->append("}");
    CloseFrame(out);
  }

  const AnswerHeader header_;
  int index_ = 0;              // of the block that is open or comes next
  std::optional<Kind> block_;  // the kind of event that opened it
  GenerationEvent finish_;
};

class MessagesWholeEncoder final : public WholeEncoder {
 public:
  explicit MessagesWholeEncoder(AnswerHeader header) : header_(std::move(header)) {}

  void Add(const GenerationEvent& event) override {
    switch (event.kind) {
      case Kind::kToolCallStart:
        blocks_.push_back({.kind = event.kind, .name = event.text});
        return;
      case Kind::kToolCallArguments:
        blocks_.back().text += event.text;
        return;
      case Kind::kFinish:
        finish_ = event;
        return;
      case Kind::kReasoning:
      case Kind::kContent:
        if (blocks_.empty() || blocks_.back().kind != event.kind) {
          blocks_.push_back({.kind = event.kind});
        }
        blocks_.back().text += event.text;
    }
  }

  std::string Body(const TokenUsage& usage) override {
    std::string out;
    AppendMessageStart(header_, &out);
    for (const Block& block : blocks_) {
      if (&block != &blocks_.front()) out.push_back(',');
      AppendBlockStart(block.kind, block.name, &out);
      if (block.kind == Kind::kToolCallStart) {
        AppendInput(block.text, &out);
      } else {
        AppendJsonString(block.text, &out);
      }
      out.push_back('}');
    }
    out.append("],");
    AppendStop(finish_, &out);
    out.append(",\"usage\":");
    AppendMessageUsage(usage, &out);
    out.push_back('}');
    return out;
  }

 private:
  struct Block {
    Kind kind;
    std::string name = {};  // of a tool
    std::string text = {};
  };

  // The API has objects only. What is none, as a call cut short, is handed over as text under the
  // name that Anthropic's documentation proposes for it.
  static void AppendInput(const std::string& arguments, std::string* out) {
    const auto input = nlohmann::json::parse(arguments, nullptr, /*allow_exceptions=*/false);
    if (input.is_object()) {
      out->append(arguments);
      return;
    }
    out->append("{\"INVALID_JSON\":");
    AppendJsonString(arguments, out);
    out->append("}");
  }

  const AnswerHeader header_;
  std::vector<Block> blocks_;
  GenerationEvent finish_;
};

}  // namespace

std::unique_ptr<StreamEncoder> NewMessagesStreamEncoder(AnswerHeader header) {
  return std::make_unique<MessagesStreamEncoder>(std::move(header));
}

std::unique_ptr<WholeEncoder> NewMessagesWholeEncoder(AnswerHeader header) {
  return std::make_unique<MessagesWholeEncoder>(std::move(header));
}

}  // namespace vallm::gateway
