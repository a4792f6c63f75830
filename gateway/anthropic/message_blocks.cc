#include "gateway/anthropic/message_blocks.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/json_object.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

absl::Status UnsupportedBlock(const std::string& path, const std::string& type,
                              const char* supported) {
  return UnsupportedParam(path + ".type", absl::StrCat("'", path, ".type' is \"", type, "\"; only ",
                                                       supported, " is supported"));
}

absl::StatusOr<std::string> RequiredString(JsonObject& fields, const char* name) {
  VALLM_ASSIGN_OR_RETURN(auto value, fields.String(name));
  if (!value.has_value()) return MissingField(fields.PathOf(name));
  return *std::move(value);
}

Json TextPart(std::string text) { return Json{{"type", "text"}, {"text", std::move(text)}}; }

// What a chat message calls content: parts where there are several, a string where there is one.
Json ContentOf(Json parts) {
  if (parts.empty()) return "";
  if (parts.size() == 1) return std::move(parts[0]["text"]);
  return parts;
}

// A string, or blocks of type text.
absl::StatusOr<Json> TextContent(const Json& value, const std::string& path) {
  if (value.is_string()) return value;
  if (!value.is_array()) return WrongType(path, "a string or an array of blocks", value);
  Json parts = Json::array();
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string block_path = absl::StrCat(path, "[", i, "]");
    if (!value[i].is_object()) return WrongType(block_path, "an object", value[i]);
    JsonObject block(value[i], block_path + ".");
    VALLM_ASSIGN_OR_RETURN(const std::string type, RequiredString(block, "type"));
    if (type != "text") return UnsupportedBlock(block_path, type, "\"text\"");
    VALLM_ASSIGN_OR_RETURN(std::string text, RequiredString(block, "text"));
    parts.push_back(TextPart(std::move(text)));
  }
  return ContentOf(std::move(parts));
}

// A user's message while its blocks are read, and what it has become so far.
struct UserTurn {
  Json chat;  // whole messages
  Json parts = Json::array();

  void FlushText() {
    if (parts.empty()) return;
    chat.push_back({{"role", "user"}, {"content", ContentOf(std::exchange(parts, Json::array()))}});
  }
};

absl::Status AddToolResult(JsonObject& block, UserTurn* turn, std::vector<std::string>* ignored) {
  VALLM_ASSIGN_OR_RETURN(const std::string id, RequiredString(block, "tool_use_id"));
  VALLM_ASSIGN_OR_RETURN(const auto is_error, block.Bool("is_error"));
  if (is_error.value_or(false)) ignored->push_back("tool_result.is_error");
  Json content = "";
  if (const Json* given = block.Find("content")) {
    VALLM_ASSIGN_OR_RETURN(content, TextContent(*given, block.PathOf("content")));
  }
  turn->FlushText();
  turn->chat.push_back({{"role", "tool"}, {"tool_call_id", id}, {"content", std::move(content)}});
  return absl::OkStatus();
}

absl::Status AddUserMessage(const Json& content, const std::string& path, Json* chat,
                            std::vector<std::string>* ignored) {
  UserTurn turn{.chat = std::move(*chat)};
  for (size_t i = 0; i < content.size(); ++i) {
    const std::string block_path = absl::StrCat(path, "[", i, "]");
    if (!content[i].is_object()) return WrongType(block_path, "an object", content[i]);
    JsonObject block(content[i], block_path + ".");
    VALLM_ASSIGN_OR_RETURN(const std::string type, RequiredString(block, "type"));
    if (type == "text") {
      VALLM_ASSIGN_OR_RETURN(std::string text, RequiredString(block, "text"));
      turn.parts.push_back(TextPart(std::move(text)));
    } else if (type == "tool_result") {
      VALLM_RETURN_IF_ERROR(AddToolResult(block, &turn, ignored));
    } else {
      return UnsupportedBlock(block_path, type, "\"text\" or \"tool_result\"");
    }
  }
  turn.FlushText();
  *chat = std::move(turn.chat);
  return absl::OkStatus();
}

absl::StatusOr<Json> ToolCallOf(JsonObject& block) {
  VALLM_ASSIGN_OR_RETURN(const std::string id, RequiredString(block, "id"));
  VALLM_ASSIGN_OR_RETURN(const std::string name, RequiredString(block, "name"));
  const Json* input = block.Find("input");
  if (input != nullptr && !input->is_object()) {
    return WrongType(block.PathOf("input"), "an object", *input);
  }
  Json function = {{"name", name}, {"arguments", input == nullptr ? Json::object() : *input}};
  return Json{{"id", id}, {"type", "function"}, {"function", std::move(function)}};
}

absl::StatusOr<Json> AssistantMessage(const Json& content, const std::string& path) {
  Json parts = Json::array();
  Json calls = Json::array();
  std::string thinking;
  for (size_t i = 0; i < content.size(); ++i) {
    const std::string block_path = absl::StrCat(path, "[", i, "]");
    if (!content[i].is_object()) return WrongType(block_path, "an object", content[i]);
    JsonObject block(content[i], block_path + ".");
    VALLM_ASSIGN_OR_RETURN(const std::string type, RequiredString(block, "type"));
    if (type == "text") {
      VALLM_ASSIGN_OR_RETURN(std::string text, RequiredString(block, "text"));
      parts.push_back(TextPart(std::move(text)));
    } else if (type == "thinking") {
      VALLM_ASSIGN_OR_RETURN(const std::string text, RequiredString(block, "thinking"));
      thinking += text;
    } else if (type == "tool_use") {
      VALLM_ASSIGN_OR_RETURN(Json call, ToolCallOf(block));
      calls.push_back(std::move(call));
    } else {
      return UnsupportedBlock(block_path, type, "\"text\", \"thinking\" or \"tool_use\"");
    }
  }
  Json message = {{"role", "assistant"}, {"content", ContentOf(std::move(parts))}};
  if (!thinking.empty()) message["reasoning_content"] = thinking;
  if (!calls.empty()) message["tool_calls"] = std::move(calls);
  return message;
}

absl::Status AddMessage(const Json& message, const std::string& path, Json* chat,
                        std::vector<std::string>* ignored) {
  if (!message.is_object()) return WrongType(path, "an object", message);
  JsonObject fields(message, path + ".");
  VALLM_ASSIGN_OR_RETURN(const std::string role, RequiredString(fields, "role"));
  if (role != "user" && role != "assistant") {
    return InvalidParam(fields.PathOf("role"),
                        absl::StrCat("'", fields.PathOf("role"), "' is \"", role,
                                     "\"; it must be \"user\" or \"assistant\""));
  }
  const Json* content = fields.Find("content");
  if (content == nullptr) return MissingField(fields.PathOf("content"));
  if (content->is_string()) {
    chat->push_back({{"role", role}, {"content", *content}});
    return absl::OkStatus();
  }
  const std::string content_path = fields.PathOf("content");
  if (!content->is_array())
    return WrongType(content_path, "a string or an array of blocks", *content);
  if (content->empty())
    return InvalidParam(content_path, absl::StrCat("'", content_path, "' is empty"));
  if (role == "user") return AddUserMessage(*content, content_path, chat, ignored);
  VALLM_ASSIGN_OR_RETURN(Json assistant, AssistantMessage(*content, content_path));
  chat->push_back(std::move(assistant));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Json> ChatMessagesOf(const Json* system, const Json& messages,
                                    std::vector<std::string>* ignored) {
  if (!messages.is_array()) return WrongType("messages", "an array", messages);
  if (messages.empty()) return InvalidParam("messages", "'messages' is empty");
  Json chat = Json::array();
  if (system != nullptr) {
    VALLM_ASSIGN_OR_RETURN(Json content, TextContent(*system, "system"));
    chat.push_back({{"role", "system"}, {"content", std::move(content)}});
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    VALLM_RETURN_IF_ERROR(
        AddMessage(messages[i], absl::StrCat("messages[", i, "]"), &chat, ignored));
  }
  return chat;
}

}  // namespace vallm::gateway
