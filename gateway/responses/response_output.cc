#include "gateway/responses/response_output.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "common/valid_utf8.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/json_text.h"
#include "gateway/openai/logprobs_text.h"
#include "gateway/random_id.h"

namespace vallm::gateway {
namespace {

using Kind = GenerationEvent::Kind;
using Type = OutputItem::Type;

void AppendMember(std::string_view name, std::string_view value, std::string* out) {
  absl::StrAppend(out, ",\"", ToAbsl(name), "\":");
  AppendJsonString(value, out);
}

void AppendResponseUsage(const TokenUsage& usage, std::string* out) {
  absl::StrAppend(out, "{\"input_tokens\":", usage.prompt_tokens,
                  ",\"input_tokens_details\":{\"cached_tokens\":", usage.cached_tokens,
                  "},\"output_tokens\":", usage.completion_tokens,
                  ",\"output_tokens_details\":{\"reasoning_tokens\":", usage.reasoning_tokens);
  absl::StrAppend(out, "},\"total_tokens\":", usage.prompt_tokens + usage.completion_tokens, "}");
}

// The API's own list of codes has these for what can go wrong here.
const char* ErrorCodeOf(const absl::Status& error) {
  const int http = HttpStatusOf(error);
  return http == 429 ? "rate_limit_exceeded" : http < 500 ? "invalid_prompt" : "server_error";
}

Type TypeOf(Kind kind) {
  switch (kind) {
    case Kind::kReasoning:
      return Type::kReasoning;
    case Kind::kToolCallStart:
    case Kind::kToolCallArguments:
      return Type::kFunctionCall;
    default:
      return Type::kMessage;
  }
}

}  // namespace

std::vector<TokenLogprobs> TextLogprobs(const GenerationEvent& event) {
  std::vector<TokenLogprobs> shown;
  if (event.kind != Kind::kContent) return shown;
  for (const TokenLogprobs& position : event.logprobs) {
    if (position.shows) shown.push_back(position);
  }
  return shown;
}

bool ResponseOutput::GoesOn(const GenerationEvent& event) const {
  return event.kind != Kind::kToolCallStart && !items_.empty() &&
         items_.back().type == TypeOf(event.kind);
}

bool ResponseOutput::IsIdle(const GenerationEvent& event) const {
  return event.kind != Kind::kToolCallStart && event.text.empty() && !GoesOn(event);
}

void ResponseOutput::Begin(const GenerationEvent& event) {
  OutputItem& item = items_.emplace_back();
  item.type = TypeOf(event.kind);
  switch (item.type) {
    case Type::kReasoning:
      item.id = NewId("rs_");
      return;
    case Type::kMessage:
      item.id = NewId("msg_");
      return;
    case Type::kFunctionCall:
      item.id = NewId("fc_");
      item.call_id = NewId("call_");
      item.name = event.text;
  }
}

void ResponseOutput::Append(const GenerationEvent& event) {
  OutputItem& item = items_.back();
  if (event.kind != Kind::kToolCallStart) item.text += event.text;
  std::vector<TokenLogprobs> shown = TextLogprobs(event);
  std::move(shown.begin(), shown.end(), std::back_inserter(item.logprobs));
}

void ResponseOutput::AppendTokens(const std::vector<TokenLogprobs>& logprobs,
                                  std::string* out) const {
  if (header_.token_table == nullptr) {
    out->append("[]");
  } else {
    AppendTokenList(logprobs, *header_.token_table, out);
  }
}

void ResponseOutput::AppendPart(const OutputItem& item, std::string_view text,
                                std::string* out) const {
  if (item.type == Type::kMessage) {
    out->append("{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":");
    AppendTokens(text.empty() ? std::vector<TokenLogprobs>() : item.logprobs, out);
  } else {
    absl::StrAppend(out, "{\"type\":\"", thought_as_summary_ ? "summary_text" : "reasoning_text",
                    "\"");
  }
  AppendMember("text", text, out);
  out->push_back('}');
}

void ResponseOutput::AppendItem(const OutputItem& item, ResponseStatus status, bool begun,
                                std::string* out) const {
  out->append("{\"id\":");
  AppendJsonString(item.id, out);
  AppendMember("status", status, out);
  if (item.type == Type::kFunctionCall) {
    out->append(",\"type\":\"function_call\"");
    AppendMember("call_id", item.call_id, out);
    AppendMember("name", item.name, out);
    AppendMember("arguments", item.text, out);
    out->push_back('}');
    return;
  }
  std::string parts = "[";
  if (!begun) AppendPart(item, item.text, &parts);
  parts.push_back(']');
  if (item.type == Type::kMessage) {
    absl::StrAppend(out, ",\"type\":\"message\",\"role\":\"assistant\",\"content\":", parts, "}");
  } else if (thought_as_summary_) {
    absl::StrAppend(out, ",\"type\":\"reasoning\",\"summary\":", parts, "}");
  } else {
    absl::StrAppend(out, ",\"type\":\"reasoning\",\"summary\":[],\"content\":", parts, "}");
  }
}

void ResponseOutput::AppendResponse(ResponseStatus status, const TokenUsage* usage,
                                    const absl::Status* error, std::string* out) const {
  out->append("{\"id\":");
  AppendJsonString(header_.id, out);
  absl::StrAppend(out, ",\"object\":\"response\",\"created_at\":", header_.created);
  AppendMember("status", status, out);
  out->append(",\"error\":");
  if (error == nullptr) {
    out->append("null");
  } else {
    absl::StrAppend(out, "{\"code\":\"", ErrorCodeOf(*error), "\"");
    AppendMember("message", ReplaceInvalidUtf8(ToStd(error->message())), out);
    out->push_back('}');
  }
  absl::StrAppend(out, ",\"incomplete_details\":",
                  status == "incomplete" ? "{\"reason\":\"max_output_tokens\"}" : "null");
  AppendMember("model", header_.model, out);
  out->append(",\"output\":[");
  // A failed response leaves its last item as it was.
  const ResponseStatus last_status = status == "failed" ? "incomplete" : status;
  for (const OutputItem& item : items_) {
    const bool is_last = &item == &items_.back();
    if (&item != &items_.front()) out->push_back(',');
    AppendItem(item, is_last ? last_status : "completed", /*begun=*/false, out);
  }
  out->append("],\"usage\":");
  if (usage == nullptr) {
    out->append("null");
  } else {
    AppendResponseUsage(*usage, out);
  }
  absl::StrAppend(out, ",", settings_, "}");
}

std::vector<ResponseItem> ResponseOutput::StoredItems(ResponseStatus status) const {
  std::vector<ResponseItem> stored;
  for (const OutputItem& item : items_) {
    ResponseItem& to = stored.emplace_back();
    to.id = item.id;
    AppendItem(item, &item == &items_.back() ? status : "completed", /*begun=*/false, &to.json);
  }
  return stored;
}

}  // namespace vallm::gateway
