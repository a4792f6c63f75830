#include "gateway/openai/chat_messages.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/json_object.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxMessages = 16384;

absl::Status MustBe(const std::string& path, const char* expected, const Json& value) {
  return InvalidParam(
      path, absl::StrCat("'", path, "' must be ", expected, ", not ", ToAbsl(KindOf(value))));
}

absl::Status Missing(const std::string& path) {
  return InvalidParam(path, absl::StrCat("'", path, "' is missing"));
}

absl::Status CheckContentParts(const Json& parts, const std::string& path) {
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part_path = absl::StrCat(path, "[", i, "]");
    if (!parts[i].is_object()) return MustBe(part_path, "an object", parts[i]);
    JsonObject part(parts[i], absl::StrCat(part_path, "."));
    VALLM_ASSIGN_OR_RETURN(const auto type, part.String("type"));
    if (!type.has_value()) return Missing(part.PathOf("type"));
    if (*type != "text") {
      return UnsupportedParam(part.PathOf("type"),
                              absl::StrCat("'", part.PathOf("type"), "' is \"", *type,
                                           "\"; only \"text\" is supported"));
    }
    VALLM_ASSIGN_OR_RETURN(const auto text, part.String("text"));
    if (!text.has_value()) return Missing(part.PathOf("text"));
  }
  return absl::OkStatus();
}

absl::Status CheckToolCall(const Json& call, const std::string& path) {
  if (!call.is_object()) return MustBe(path, "an object", call);
  JsonObject fields(call, absl::StrCat(path, "."));
  VALLM_RETURN_IF_ERROR(fields.String("id").status());
  VALLM_ASSIGN_OR_RETURN(const auto type, fields.String("type"));
  if (type.has_value() && *type != "function") {
    return UnsupportedParam(fields.PathOf("type"),
                            absl::StrCat("'", fields.PathOf("type"), "' is \"", *type,
                                         "\"; only \"function\" is supported"));
  }
  const Json* function = fields.Find("function");
  if (function == nullptr) return Missing(fields.PathOf("function"));
  if (!function->is_object()) return MustBe(fields.PathOf("function"), "an object", *function);
  JsonObject inner(*function, absl::StrCat(path, ".function."));
  VALLM_ASSIGN_OR_RETURN(const auto name, inner.String("name"));
  if (!name.has_value()) return Missing(inner.PathOf("name"));
  const Json* arguments = inner.Find("arguments");
  // A string is passed on unparsed, so that one malformed call of the past does not spoil the
  // conversation forever.
  if (arguments != nullptr && !arguments->is_string() && !arguments->is_object()) {
    return MustBe(inner.PathOf("arguments"), "a string", *arguments);
  }
  return absl::OkStatus();
}

// Errors unless the message has content, or may go without because it calls tools or reasons.
absl::Status CheckContent(JsonObject& fields, bool may_be_absent) {
  const Json* content = fields.Find("content");
  const std::string path = fields.PathOf("content");
  if (content == nullptr) {
    return may_be_absent ? absl::OkStatus() : Missing(path);
  }
  if (content->is_array()) return CheckContentParts(*content, path);
  if (!content->is_string()) {
    return MustBe(path, "a string or an array of parts", *content);
  }
  return absl::OkStatus();
}

absl::Status CheckMessage(Json& message, const std::string& path) {
  if (!message.is_object()) return MustBe(path, "an object", message);
  JsonObject fields(message, absl::StrCat(path, "."));
  VALLM_ASSIGN_OR_RETURN(const auto role, fields.String("role"));
  if (!role.has_value()) return Missing(fields.PathOf("role"));
  if (*role != "system" && *role != "developer" && *role != "user" && *role != "assistant" &&
      *role != "tool") {
    return InvalidParam(fields.PathOf("role"),
                        absl::StrCat("'", fields.PathOf("role"), "' is \"", *role,
                                     "\"; it must be system, developer, user, assistant or tool"));
  }
  VALLM_RETURN_IF_ERROR(CheckContent(fields, /*may_be_absent=*/*role == "assistant"));
  for (const char* name : {"name", "reasoning_content", "reasoning", "tool_call_id"}) {
    VALLM_RETURN_IF_ERROR(fields.String(name).status());
  }
  if (const Json* calls = fields.Find("tool_calls")) {
    if (!calls->is_array()) return MustBe(fields.PathOf("tool_calls"), "an array", *calls);
    for (size_t i = 0; i < calls->size(); ++i) {
      VALLM_RETURN_IF_ERROR(
          CheckToolCall((*calls)[i], absl::StrCat(fields.PathOf("tool_calls"), "[", i, "]")));
    }
  }
  const Json* reasoning = fields.Find("reasoning");
  if (reasoning != nullptr && fields.Find("reasoning_content") == nullptr) {
    const Json copy = *reasoning;
    message["reasoning_content"] = copy;
  }
  if (*role == "developer") message["role"] = "system";
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAndNormalizeMessages(Json* messages) {
  if (!messages->is_array()) return MustBe("messages", "an array", *messages);
  if (messages->empty()) return InvalidParam("messages", "'messages' is empty");
  if (messages->size() > kMaxMessages) {
    return InvalidParam("messages",
                        absl::StrCat("'messages' has ", messages->size(), " messages; at most ",
                                     kMaxMessages, " are allowed"));
  }
  for (size_t i = 0; i < messages->size(); ++i) {
    VALLM_RETURN_IF_ERROR(CheckMessage((*messages)[i], absl::StrCat("messages[", i, "]")));
  }
  return absl::OkStatus();
}

absl::Status CheckTools(const Json& tools) {
  if (!tools.is_array()) return MustBe("tools", "an array", tools);
  for (size_t i = 0; i < tools.size(); ++i) {
    const std::string path = absl::StrCat("tools[", i, "]");
    if (!tools[i].is_object()) return MustBe(path, "an object", tools[i]);
    JsonObject tool(tools[i], absl::StrCat(path, "."));
    VALLM_ASSIGN_OR_RETURN(const auto type, tool.String("type"));
    if (type.value_or("function") != "function") {
      return UnsupportedParam(tool.PathOf("type"),
                              absl::StrCat("'", tool.PathOf("type"), "' is \"", *type,
                                           "\"; only \"function\" is supported"));
    }
    const Json* function = tool.Find("function");
    if (function == nullptr) return Missing(tool.PathOf("function"));
    if (!function->is_object()) return MustBe(tool.PathOf("function"), "an object", *function);
    JsonObject fields(*function, absl::StrCat(path, ".function."));
    VALLM_ASSIGN_OR_RETURN(const auto name, fields.String("name"));
    if (!name.has_value() || name->empty()) return Missing(fields.PathOf("name"));
    VALLM_RETURN_IF_ERROR(fields.String("description").status());
    const Json* parameters = fields.Find("parameters");
    if (parameters != nullptr && !parameters->is_object()) {
      return MustBe(fields.PathOf("parameters"), "an object", *parameters);
    }
  }
  return absl::OkStatus();
}

}  // namespace vallm::gateway
