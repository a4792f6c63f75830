// text_completion, whole and in chunks. Only content events are text; the parsers are off, so there
// are no others.

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/openai/answer_encoder.h"
#include "gateway/openai/json_text.h"

namespace vallm::gateway {
namespace {

using Kind = GenerationEvent::Kind;

// {"index":0,"text":…,"logprobs":null,"finish_reason":…,"stop_reason":…}
void AppendChoice(int index, std::string_view text, const std::string* finish_reason,
                  const StopReason& stop_reason, std::string* out) {
  absl::StrAppend(out, "{\"index\":", index, ",\"text\":");
  AppendJsonString(text, out);
  out->append(",\"logprobs\":null,\"finish_reason\":");
  if (finish_reason == nullptr) {
    out->append("null");
  } else {
    AppendJsonString(*finish_reason, out);
  }
  out->append(",\"stop_reason\":");
  AppendStopReason(stop_reason, out);
  out->push_back('}');
}

class CompletionStreamEncoder final : public StreamEncoder {
 public:
  explicit CompletionStreamEncoder(AnswerHeader header)
      : header_(std::move(header)), prefix_(ChunkPrefix(header_, "text_completion")) {}

  void Begin(std::string*) override {}

  void Encode(const GenerationEvent& event, std::string* out) override {
    const bool finish = event.kind == Kind::kFinish;
    out->append(prefix_);
    AppendChoice(event.choice, finish ? std::string_view() : event.text,
                 finish ? &event.text : nullptr, event.stop_reason, out);
    out->push_back(']');
    if (header_.continuous_usage) {
      out->append(",\"usage\":");
      AppendUsage({.prompt_tokens = header_.prompt_tokens,
                   .completion_tokens = event.usage.completion_tokens},
                  out);
    } else if (header_.include_usage) {
      out->append(",\"usage\":null");
    }
    out->append("}\n\n");
  }

  void End(const TokenUsage& usage, std::string* out) override {
    if (!header_.include_usage) return;
    absl::StrAppend(out, prefix_, "],\"usage\":");
    AppendUsage(usage, out);
    out->append("}\n\n");
  }

 private:
  const AnswerHeader header_;
  const std::string prefix_;
};

class CompletionWholeEncoder final : public WholeEncoder {
 public:
  explicit CompletionWholeEncoder(AnswerHeader header)
      : header_(std::move(header)), choices_(static_cast<size_t>(header_.choice_count)) {}

  void Add(const GenerationEvent& event) override {
    Choice& choice = choices_[static_cast<size_t>(event.choice)];
    if (event.kind == Kind::kFinish) {
      choice.finish_reason = event.text;
      choice.stop_reason = event.stop_reason;
    } else {
      choice.text += event.text;
    }
  }

  std::string Body(const TokenUsage& usage) override {
    std::string out = ChunkPrefix(header_, "text_completion").substr(6);  // without "data: "
    for (size_t i = 0; i < choices_.size(); ++i) {
      if (i > 0) out.push_back(',');
      const Choice& choice = choices_[i];
      AppendChoice(static_cast<int>(i), choice.text, &choice.finish_reason, choice.stop_reason,
                   &out);
    }
    out.append("],\"usage\":");
    AppendUsage(usage, &out);
    out.append("}");
    return out;
  }

 private:
  struct Choice {
    std::string text;
    std::string finish_reason;
    StopReason stop_reason;
  };

  const AnswerHeader header_;
  std::vector<Choice> choices_;
};

}  // namespace

std::unique_ptr<StreamEncoder> NewCompletionStreamEncoder(AnswerHeader header) {
  return std::make_unique<CompletionStreamEncoder>(std::move(header));
}

std::unique_ptr<WholeEncoder> NewCompletionWholeEncoder(AnswerHeader header) {
  return std::make_unique<CompletionWholeEncoder>(std::move(header));
}

}  // namespace vallm::gateway
