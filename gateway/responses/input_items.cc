#include "gateway/responses/input_items.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/json_object.h"
#include "gateway/random_id.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

absl::StatusOr<std::string> RequiredString(JsonObject& fields, const char* name) {
  VALLM_ASSIGN_OR_RETURN(auto value, fields.String(name));
  if (!value.has_value()) return MissingField(fields.PathOf(name));
  return *std::move(value);
}

absl::Status CheckTextPart(const Json& part, const std::string& path) {
  if (!part.is_object()) return WrongType(path, "an object", part);
  JsonObject fields(part, path + ".");
  VALLM_ASSIGN_OR_RETURN(const std::string type, RequiredString(fields, "type"));
  if (type != "input_text" && type != "output_text") {
    return UnsupportedParam(
        fields.PathOf("type"),
        absl::StrCat("'", fields.PathOf("type"), "' is \"", type,
                     "\"; only \"input_text\" and \"output_text\" are supported"));
  }
  return RequiredString(fields, "text").status();
}

absl::Status CheckTextParts(const Json& parts, const std::string& path) {
  for (size_t i = 0; i < parts.size(); ++i) {
    VALLM_RETURN_IF_ERROR(CheckTextPart(parts[i], absl::StrCat(path, "[", i, "]")));
  }
  return absl::OkStatus();
}

absl::Status CompleteMessage(JsonObject& fields, Json* item) {
  VALLM_ASSIGN_OR_RETURN(const std::string role, RequiredString(fields, "role"));
  if (role != "user" && role != "assistant" && role != "system" && role != "developer") {
    return InvalidParam(fields.PathOf("role"),
                        absl::StrCat("'", fields.PathOf("role"), "' is \"", role,
                                     "\"; it must be user, assistant, system or developer"));
  }
  const std::string path = fields.PathOf("content");
  const Json* content = fields.Find("content");
  if (content == nullptr) return MissingField(path);
  if (content->is_string()) {
    Json part = {{"type", role == "assistant" ? "output_text" : "input_text"}, {"text", *content}};
    if (role == "assistant") part["annotations"] = Json::array();
    (*item)["content"] = Json::array({std::move(part)});
  } else if (content->is_array()) {
    VALLM_RETURN_IF_ERROR(CheckTextParts(*content, path));
  } else {
    return WrongType(path, "a string or an array of parts", *content);
  }
  if (!item->contains("status")) (*item)["status"] = "completed";
  return absl::OkStatus();
}

absl::Status CheckCall(JsonObject& fields) {
  for (const char* name : {"call_id", "name", "arguments"}) {
    VALLM_RETURN_IF_ERROR(RequiredString(fields, name).status());
  }
  return absl::OkStatus();
}

absl::Status CheckCallOutput(JsonObject& fields) {
  VALLM_RETURN_IF_ERROR(RequiredString(fields, "call_id").status());
  const std::string path = fields.PathOf("output");
  const Json* output = fields.Find("output");
  if (output == nullptr) return MissingField(path);
  if (output->is_array()) return CheckTextParts(*output, path);
  return output->is_string() ? absl::OkStatus()
                             : WrongType(path, "a string or an array of parts", *output);
}

// `content` holds the thought itself, `summary` what may stand for it.
absl::Status CheckReasoning(JsonObject& fields) {
  for (const char* name : {"content", "summary"}) {
    const Json* parts = fields.Find(name);
    if (parts == nullptr) continue;
    if (!parts->is_array()) return WrongType(fields.PathOf(name), "an array of parts", *parts);
    for (size_t i = 0; i < parts->size(); ++i) {
      const std::string path = absl::StrCat(fields.PathOf(name), "[", i, "]");
      if (!(*parts)[i].is_object()) return WrongType(path, "an object", (*parts)[i]);
      JsonObject part((*parts)[i], path + ".");
      VALLM_RETURN_IF_ERROR(RequiredString(part, "text").status());
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ResponseItem> Resolve(JsonObject& fields, const ItemLookup& lookup) {
  VALLM_ASSIGN_OR_RETURN(const std::string id, RequiredString(fields, "id"));
  if (auto item = lookup(id)) return *std::move(item);
  return WithErrorCode(
      absl::InvalidArgumentError(absl::StrCat("'", fields.PathOf("id"), "' is \"", id,
                                              "\", which is no item of a response that is stored")),
      "item_not_found", fields.PathOf("id"));
}

absl::StatusOr<ResponseItem> ReadItem(const Json& given, const std::string& path,
                                      const ItemLookup& lookup) {
  if (!given.is_object()) return WrongType(path, "an object", given);
  Json item = given;
  JsonObject fields(given, path + ".");
  VALLM_ASSIGN_OR_RETURN(const auto given_type, fields.String("type"));
  const std::string type =
      given_type.value_or(fields.Find("role") != nullptr ? "message" : "item_reference");
  const char* prefix = "";
  if (type == "item_reference") return Resolve(fields, lookup);
  if (type == "message") {
    prefix = "msg_";
    VALLM_RETURN_IF_ERROR(CompleteMessage(fields, &item));
  } else if (type == "function_call") {
    prefix = "fc_";
    VALLM_RETURN_IF_ERROR(CheckCall(fields));
  } else if (type == "function_call_output") {
    prefix = "fco_";
    VALLM_RETURN_IF_ERROR(CheckCallOutput(fields));
  } else if (type == "reasoning") {
    prefix = "rs_";
    VALLM_RETURN_IF_ERROR(CheckReasoning(fields));
  } else {
    return UnsupportedParam(
        fields.PathOf("type"),
        absl::StrCat("'", fields.PathOf("type"), "' is \"", type,
                     "\"; only message, function_call, function_call_output, reasoning and "
                     "item_reference are supported"));
  }
  VALLM_ASSIGN_OR_RETURN(const auto id, fields.String("id"));
  item["type"] = type;
  item["id"] = id.value_or("").empty() ? NewId(prefix) : *id;
  return ResponseItem{.id = item["id"], .json = item.dump()};
}

// Parts as a chat has them: a string where there is one.
Json ChatContent(const Json& value) {
  if (!value.is_array()) return value;
  if (value.empty()) return "";
  if (value.size() == 1) return value[0]["text"];
  Json parts = Json::array();
  for (const Json& part : value) parts.push_back({{"type", "text"}, {"text", part["text"]}});
  return parts;
}

std::string ThoughtOf(const Json& item) {
  std::string thought;
  for (const char* name : {"content", "summary"}) {
    if (!thought.empty() || !item.contains(name)) continue;
    for (const Json& part : item[name]) thought += part["text"].get<std::string>();
  }
  return thought;
}

// Puts what the model said together to messages.
class ChatBuilder {
 public:
  explicit ChatBuilder(Json chat) : chat_(std::move(chat)) {}

  void Add(const Json& item) {
    const std::string type = item["type"];
    if (type == "reasoning") {
      if (turn_.contains("content") || turn_.contains("tool_calls")) Flush();
      Json& turn = Turn();
      turn["reasoning_content"] = turn.value("reasoning_content", "") + ThoughtOf(item);
    } else if (type == "function_call") {
      Json function = {{"name", item["name"]}, {"arguments", item["arguments"]}};
      Turn()["tool_calls"].push_back(
          {{"id", item["call_id"]}, {"type", "function"}, {"function", std::move(function)}});
    } else if (type == "message" && item["role"] == "assistant") {
      if (turn_.contains("content") || turn_.contains("tool_calls")) Flush();
      Turn()["content"] = ChatContent(item["content"]);
    } else {
      Flush();
      chat_.push_back(type == "message"
                          ? Json{{"role", item["role"]}, {"content", ChatContent(item["content"])}}
                          : Json{{"role", "tool"},
                                 {"tool_call_id", item["call_id"]},
                                 {"content", ChatContent(item["output"])}});
    }
  }

  Json Take() {
    Flush();
    return std::move(chat_);
  }

 private:
  Json& Turn() {
    if (turn_.is_null()) turn_ = {{"role", "assistant"}};
    return turn_;
  }

  void Flush() {
    if (turn_.is_null()) return;
    if (!turn_.contains("content")) turn_["content"] = "";
    chat_.push_back(std::exchange(turn_, nullptr));
  }

  Json chat_;
  Json turn_;  // null: the model has not said anything since the last message
};

}  // namespace

absl::StatusOr<std::vector<ResponseItem>> ReadInputItems(const Json& input,
                                                         const ItemLookup& lookup) {
  if (input.is_string()) {
    return ReadInputItems(Json::array({{{"role", "user"}, {"content", input}}}), lookup);
  }
  if (!input.is_array()) return WrongType("input", "a string or an array of items", input);
  std::vector<ResponseItem> items;
  items.reserve(input.size());
  for (size_t i = 0; i < input.size(); ++i) {
    VALLM_ASSIGN_OR_RETURN(ResponseItem item,
                           ReadItem(input[i], absl::StrCat("input[", i, "]"), lookup));
    items.push_back(std::move(item));
  }
  return items;
}

Json ChatMessagesOfItems(const std::string* instructions, const std::vector<ResponseItem>& items) {
  Json chat = Json::array();
  if (instructions != nullptr) chat.push_back({{"role", "system"}, {"content", *instructions}});
  ChatBuilder builder(std::move(chat));
  for (const ResponseItem& item : items) builder.Add(Json::parse(item.json));
  return builder.Take();
}

}  // namespace vallm::gateway
