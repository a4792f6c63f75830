#include "tokenizer_service/template/chat_messages.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/json_value.h"
#include "tokenizer_service/template/runtime.h"
#include "tokenizer_service/template/to_json.h"

namespace vallm::tokenizer {
namespace {

template <typename... Args>
absl::Status Refuse(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

// JSON's word for the kind of a value, for messages.
std::string_view JsonType(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNone:
      return "null";
    case Value::Kind::kBool:
      return "a boolean";
    case Value::Kind::kStr:
      return "a string";
    case Value::Kind::kList:
      return "an array";
    case Value::Kind::kDict:
      return "an object";
    default:
      return "a number";
  }
}

absl::StatusOr<Value> JoinParts(const std::vector<Value>& parts, const std::string& field) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string where = absl::StrCat(field, "[", i, "]");
    const Value& part = parts[i];
    if (i != 0) text.push_back('\n');
    if (part.is_str()) {
      text += part.text();
      continue;
    }
    if (!part.is_dict()) {
      return Refuse(where, ": must be an object, not ", ToAbsl(JsonType(part)));
    }
    const Value* type = part.dict().Find("type");
    if (type == nullptr || !type->is_str()) return Refuse(where, ".type: must be a string");
    if (type->text() != "text") {
      return Refuse(where, ".type: content of type '", ToAbsl(type->text()),
                    "' is not supported; only 'text' is");
    }
    const Value* body = part.dict().Find("text");
    if (body == nullptr || !body->is_str()) return Refuse(where, ".text: must be a string");
    text += body->text();
  }
  return Value::Str(std::move(text));
}

absl::StatusOr<Value> Content(const Value& content, const std::string& field) {
  if (content.is_str()) return content;
  if (content.is_none()) return Value::Str("");
  if (content.kind() == Value::Kind::kList) return JoinParts(content.items(), field);
  return Refuse(field, ": must be a string, an array of parts or null, not ",
                ToAbsl(JsonType(content)));
}

absl::Status CheckToolCalls(const Value& calls, const std::string& field) {
  if (calls.kind() != Value::Kind::kList) {
    return Refuse(field, ": must be an array, not ", ToAbsl(JsonType(calls)));
  }
  for (size_t i = 0; i < calls.items().size(); ++i) {
    const std::string where = absl::StrCat(field, "[", i, "]");
    const Value& call = calls.items()[i];
    if (!call.is_dict()) return Refuse(where, ": must be an object, not ", ToAbsl(JsonType(call)));
    const Value* function = call.dict().Find("function");
    if (function != nullptr && !function->is_dict()) {
      return Refuse(where, ".function: must be an object, not ", ToAbsl(JsonType(*function)));
    }
    const Value* name = (function == nullptr ? call : *function).dict().Find("name");
    if (name == nullptr || !name->is_str()) {
      return Refuse(where, function == nullptr ? ".name" : ".function.name", ": must be a string");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRole(const DictCell& message, const std::string& where) {
  const Value* role = message.Find("role");
  if (role == nullptr || !role->is_str() || role->text().empty()) {
    return Refuse(where, ".role: must be a non-empty string");
  }
  return absl::OkStatus();
}

bool IsEmptyCalls(const Value& calls) {
  return calls.is_none() || (calls.kind() == Value::Kind::kList && calls.items().empty());
}

absl::StatusOr<Value> NormalizeMessage(const Value& message, const std::string& where) {
  if (!message.is_dict()) {
    return Refuse(where, ": must be an object, not ", ToAbsl(JsonType(message)));
  }
  const DictCell& in = message.dict();
  VALLM_RETURN_IF_ERROR(CheckRole(in, where));
  auto out = std::make_unique<DictCell>();
  for (const auto& [key, value] : in.entries()) {
    const std::string field = absl::StrCat(where, ".", ToAbsl(key.text()));
    if (key.text() == "content") {
      VALLM_ASSIGN_OR_RETURN(Value content, Content(value, field));
      out->Set(key, std::move(content));
    } else if (key.text() == "tool_calls") {
      if (IsEmptyCalls(value)) continue;
      VALLM_RETURN_IF_ERROR(CheckToolCalls(value, field));
      out->Set(key, value);
    } else if (key.text() == "reasoning" || key.text() == "reasoning_content") {
      if (!value.is_str() && !value.is_none()) {
        return Refuse(field, ": must be a string or null, not ", ToAbsl(JsonType(value)));
      }
      out->Set(key, value);
    } else {
      out->Set(key, value);
    }
  }
  const Value* reasoning = in.Find("reasoning");
  const Value* reasoning_content = in.Find("reasoning_content");
  if (reasoning != nullptr && reasoning->is_str() &&
      (reasoning_content == nullptr || reasoning_content->is_none())) {
    out->Set("reasoning_content", *reasoning);
  }
  if (out->Find("content") == nullptr) out->Set("content", Value::Str(""));
  return Value::Dict(out.release());
}

}  // namespace

absl::StatusOr<Value> NormalizeMessageValues(const Value& messages) {
  if (messages.kind() != Value::Kind::kList) {
    return Refuse("messages: must be an array, not ", ToAbsl(JsonType(messages)));
  }
  std::vector<Value> out;
  out.reserve(messages.items().size());
  for (size_t i = 0; i < messages.items().size(); ++i) {
    VALLM_ASSIGN_OR_RETURN(
        Value message, NormalizeMessage(messages.items()[i], absl::StrCat("messages[", i, "]")));
    out.push_back(std::move(message));
  }
  return Value::List(std::move(out));
}

absl::StatusOr<std::string> NormalizeMessages(std::string_view messages_json) {
  VALLM_ASSIGN_OR_RETURN(const Value messages, ParseJson(messages_json, "messages"));
  VALLM_ASSIGN_OR_RETURN(const Value normal, NormalizeMessageValues(messages));
  Limits limits;
  limits.max_steps = INT64_MAX;  // the text is as long as the request was
  limits.max_string_bytes = SIZE_MAX;
  Runtime runtime(limits, absl::UnixEpoch(), absl::UTCTimeZone());
  return DumpJson(runtime, normal, {});
}

}  // namespace vallm::tokenizer
