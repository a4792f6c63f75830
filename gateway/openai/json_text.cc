#include "gateway/openai/json_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"

namespace vallm::gateway {
namespace {

constexpr char kDone[] = "data: [DONE]\n\n";

}  // namespace

void AppendJsonString(std::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out->push_back('"');
  size_t copied = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out->append(text.substr(copied, i - copied));
    copied = i + 1;
    switch (c) {
      case '"':
        out->append("\\\"");
        break;
      case '\\':
        out->append("\\\\");
        break;
      case '\n':
        out->append("\\n");
        break;
      case '\r':
        out->append("\\r");
        break;
      case '\t':
        out->append("\\t");
        break;
      default:
        out->append("\\u00");
        out->push_back(kHex[c >> 4]);
        out->push_back(kHex[c & 15]);
    }
  }
  out->append(text.substr(copied));
  out->push_back('"');
}

void AppendUsage(const TokenUsage& usage, std::string* out) {
  absl::StrAppend(out, "{\"prompt_tokens\":", usage.prompt_tokens,
                  ",\"completion_tokens\":", usage.completion_tokens,
                  ",\"total_tokens\":", usage.prompt_tokens + usage.completion_tokens,
                  ",\"prompt_tokens_details\":{\"cached_tokens\":", usage.cached_tokens,
                  "},\"completion_tokens_details\":{\"reasoning_tokens\":");
  absl::StrAppend(
      out, usage.reasoning_tokens, ",\"accepted_prediction_tokens\":", usage.accepted_draft_tokens,
      ",\"rejected_prediction_tokens\":", usage.draft_tokens - usage.accepted_draft_tokens, "}}");
}

void AppendMetrics(const TokenUsage& usage, std::string* out) {
  if (!usage.times.has_value()) {
    out->append("null");
    return;
  }
  const AnswerTimes& times = *usage.times;
  const auto tokens = static_cast<double>(usage.completion_tokens);
  absl::StrAppend(out, "{\"time_to_first_token_ms\":", times.first_token_ms,
                  ",\"generation_time_ms\":", times.generation_ms,
                  ",\"queue_time_ms\":", times.queue_ms,
                  ",\"mean_itl_ms\":", tokens > 1 ? times.generation_ms / (tokens - 1) : 0,
                  ",\"tokens_per_second\":");
  const bool measurable = tokens > 1 && times.generation_ms > 0;
  absl::StrAppend(out, measurable ? tokens * 1000 / times.generation_ms : 0, "}");
}

void AppendTokenIds(std::span<const int32_t> ids, std::string* out) {
  absl::StrAppend(out, "[", absl::StrJoin(ids, ","), "]");
}

void AppendPromptFields(const AnswerHeader& header, size_t prompt, std::string* out) {
  if (!header.prompt_token_ids.empty()) {
    out->append(",\"prompt_token_ids\":");
    AppendTokenIds(header.prompt_token_ids[prompt], out);
  }
  if (!header.prompt_texts.empty()) {
    out->append(",\"prompt_text\":");
    AppendJsonString(header.prompt_texts[prompt], out);
  }
}

void AppendStopReason(const StopReason& reason, std::string* out) {
  if (const auto* text = std::get_if<std::string>(&reason)) {
    AppendJsonString(*text, out);
  } else if (const auto* id = std::get_if<int32_t>(&reason)) {
    absl::StrAppend(out, *id);
  } else {
    out->append("null");
  }
}

std::string ChunkPrefix(const AnswerHeader& header, std::string_view object) {
  std::string out = "data: {\"id\":";
  AppendJsonString(header.id, &out);
  out.append(",\"object\":");
  AppendJsonString(object, &out);
  absl::StrAppend(&out, ",\"created\":", header.created, ",\"model\":");
  AppendJsonString(header.model, &out);
  out.append(",\"system_fingerprint\":");
  AppendJsonString(header.system_fingerprint, &out);
  out.append(",\"choices\":[");
  return out;
}

void AppendStreamEnd(std::string_view prefix, const AnswerHeader& header, const TokenUsage& usage,
                     std::string* out) {
  if (header.include_usage || header.metrics) {
    absl::StrAppend(out, ToAbsl(prefix), "]");
    if (header.include_usage) {
      out->append(",\"usage\":");
      AppendUsage(usage, out);
    }
    if (header.metrics) {
      out->append(",\"metrics\":");
      AppendMetrics(usage, out);
    }
    out->append("}\n\n");
  }
  out->append(kDone);
}

void AppendStreamError(const absl::Status& error, std::string* out) {
  absl::StrAppend(out, "data: ", ErrorBody(error), "\n\n", kDone);
}

}  // namespace vallm::gateway
