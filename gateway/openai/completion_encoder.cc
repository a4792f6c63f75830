// text_completion, whole and in chunks. Only content events are text; the parsers are off, so there
// are no others.

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "gateway/openai/answer_encoder.h"
#include "gateway/openai/json_text.h"
#include "gateway/openai/logprobs_text.h"

namespace vallm::gateway {
namespace {

using Kind = GenerationEvent::Kind;

// {"index":0,"text":…,"logprobs":…,"finish_reason":…,"stop_reason":…}; `logprobs` is JSON.
void AppendChoice(int index, std::string_view text, std::string_view logprobs,
                  const std::string* finish_reason, const StopReason& stop_reason,
                  std::string* out) {
  absl::StrAppend(out, "{\"index\":", index, ",\"text\":");
  AppendJsonString(text, out);
  absl::StrAppend(out, ",\"logprobs\":", ToAbsl(logprobs), ",\"finish_reason\":");
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
      : header_(std::move(header)),
        prefix_(ChunkPrefix(header_, "text_completion")),
        offsets_(static_cast<size_t>(header_.choice_count)),
        begun_(static_cast<size_t>(header_.choice_count)) {}

  void Begin(std::string*) override {}

  void Encode(const GenerationEvent& event, std::string* out) override {
    const bool finish = event.kind == Kind::kFinish;
    out->append(prefix_);
    std::string logprobs = "null";
    if (!event.logprobs.empty()) {
      logprobs.clear();
      AppendCompletionLogprobs(event.logprobs, *header_.token_table,
                               &offsets_[static_cast<size_t>(event.choice)], &logprobs);
    }
    AppendChoice(event.choice, finish ? std::string_view() : event.text, logprobs,
                 finish ? &event.text : nullptr, event.stop_reason, out);
    if (header_.token_ids || !header_.prompt_texts.empty()) AppendExtras(event, out);
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
    AppendStreamEnd(prefix_, header_, usage, out);
  }

  void Fail(const absl::Status& error, std::string* out) override { AppendStreamError(error, out); }

 private:
  // Further members of the choice that was written last.
  void AppendExtras(const GenerationEvent& event, std::string* out) {
    out->pop_back();
    if (header_.token_ids) {
      out->append(",\"token_ids\":");
      AppendTokenIds(event.token_ids, out);
    }
    const auto choice = static_cast<size_t>(event.choice);
    if (!begun_[choice]) AppendPromptFields(header_, choice / static_cast<size_t>(header_.n), out);
    begun_[choice] = true;
    out->push_back('}');
  }

  const AnswerHeader header_;
  const std::string prefix_;
  std::vector<int64_t> offsets_;  // of the next token of each choice in its text
  std::vector<bool> begun_;       // choices whose prompt has been said
};

class CompletionWholeEncoder final : public WholeEncoder {
 public:
  explicit CompletionWholeEncoder(AnswerHeader header)
      : header_(std::move(header)), choices_(static_cast<size_t>(header_.choice_count)) {}

  void Add(const GenerationEvent& event) override {
    Choice& choice = choices_[static_cast<size_t>(event.choice)];
    choice.logprobs.insert(choice.logprobs.end(), event.logprobs.begin(), event.logprobs.end());
    choice.token_ids.insert(choice.token_ids.end(), event.token_ids.begin(), event.token_ids.end());
    if (event.kind == Kind::kFinish) {
      choice.finish_reason = event.text;
      choice.stop_reason = event.stop_reason;
      choice.prompt_positions = event.prompt_logprobs;
    } else {
      choice.text += event.text;
    }
  }

  std::string Body(const TokenUsage& usage) override {
    std::string out = ChunkPrefix(header_, "text_completion").substr(6);  // without "data: "
    int index = 0;
    for (const Choice* choice : Returned()) {
      if (index > 0) out.push_back(',');
      AppendReturned(index, *choice, &out);
      ++index;
    }
    out.append("],\"usage\":");
    AppendUsage(usage, &out);
    if (header_.metrics) {
      out.append(",\"metrics\":");
      AppendMetrics(usage, &out);
    }
    out.append("}");
    return out;
  }

 private:
  struct Choice {
    std::string text;
    std::string finish_reason;
    StopReason stop_reason;
    std::vector<TokenLogprobs> logprobs;
    std::vector<int32_t> token_ids;
    std::vector<TokenLogprobs> prompt_positions;  // of the first choice of a prompt

    double LogprobPerToken() const {
      double sum = 0;
      for (const TokenLogprobs& position : logprobs) sum += position.logprob;
      return logprobs.empty() ? 0 : sum / static_cast<double>(logprobs.size());
    }
  };

  // Choice `index` of the answer.
  void AppendReturned(int index, const Choice& choice, std::string* out) {
    const auto prompt = static_cast<size_t>(index / header_.n);
    const Choice& first = choices_[prompt * static_cast<size_t>(header_.best_of)];
    std::vector<TokenLogprobs> positions;
    std::string text;
    if (!header_.echo_texts.empty()) {
      text = header_.echo_texts[prompt];
      if (header_.logprobs) positions = first.prompt_positions;
    }
    text += choice.text;
    positions.insert(positions.end(), choice.logprobs.begin(), choice.logprobs.end());
    std::string logprobs = "null";
    if (header_.logprobs) {
      int64_t offset = 0;
      logprobs.clear();
      AppendCompletionLogprobs(positions, *header_.token_table, &offset, &logprobs);
    }
    AppendChoice(index, text, logprobs, &choice.finish_reason, choice.stop_reason, out);
    out->pop_back();  // further members of the choice follow
    if (header_.prompt_logprobs) {
      out->append(",\"prompt_logprobs\":");
      AppendPromptLogprobs(std::span(first.prompt_positions).subspan(1), *header_.token_table, out);
    }
    if (header_.token_ids) {
      out->append(",\"token_ids\":");
      AppendTokenIds(choice.token_ids, out);
    }
    AppendPromptFields(header_, prompt, out);
    out->push_back('}');
  }

  // Of each prompt's candidates those that are returned, best first; all of them in their order
  // when there is nothing to choose.
  std::vector<const Choice*> Returned() const {
    std::vector<const Choice*> returned;
    const auto group = static_cast<size_t>(header_.best_of);
    for (size_t begin = 0; begin < choices_.size(); begin += group) {
      std::vector<const Choice*> candidates;
      for (size_t i = begin; i < begin + group; ++i) candidates.push_back(&choices_[i]);
      if (header_.best_of > header_.n) {
        std::stable_sort(candidates.begin(), candidates.end(), [](const auto* a, const auto* b) {
          return a->LogprobPerToken() > b->LogprobPerToken();
        });
      }
      candidates.resize(static_cast<size_t>(header_.n));
      returned.insert(returned.end(), candidates.begin(), candidates.end());
    }
    return returned;
  }

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
