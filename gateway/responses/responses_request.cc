#include "gateway/responses/responses_request.h"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/json_object.h"
#include "gateway/responses/input_items.h"
#include "gateway/responses/responses_tools.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxMetadata = 16;
constexpr size_t kMaxMetadataKeyBytes = 64;
constexpr size_t kMaxMetadataValueBytes = 512;
constexpr char kIncludeLogprobs[] = "message.output_text.logprobs";

// Members that ask for something that is not here.
constexpr const char* kUnsupported[] = {"conversation", "prompt", "context_management"};
// Members of the chat API that have another name here, or no meaning.
constexpr const char* kChatOnly[] = {"messages",         "n",
                                     "best_of",          "logprobs",
                                     "prompt_logprobs",  "response_format",
                                     "max_tokens",       "max_completion_tokens",
                                     "return_token_ids", "return_prompt_text",
                                     "include_metrics"};

// What a response can include. All but the first are about tools and inputs that are not supported,
// or, as the encrypted reasoning, about what is there in the clear.
constexpr std::array kIncludable = {kIncludeLogprobs,
                                    "file_search_call.results",
                                    "web_search_call.results",
                                    "web_search_call.action.sources",
                                    "message.input_image.image_url",
                                    "computer_call_output.output.image_url",
                                    "code_interpreter_call.outputs",
                                    "reasoning.encrypted_content"};

// Names that the chat's reader has for members of this API.
struct Renamed {
  const char* chat;
  const char* here;
};
constexpr Renamed kRenamed[] = {{"reasoning_effort", "reasoning.effort"},
                                {"response_format.json_schema", "text.format"},
                                {"response_format", "text.format"},
                                {"max_tokens", "max_output_tokens"},
                                {"logprobs", "include"}};

// Reads one body. The members of the result fill up as the steps are taken.
class Reader {
 public:
  Reader(const Json& json, ResponseStore& store, const std::string& owner)
      : json_(json), body_(json, ""), store_(store), owner_(owner) {}

  absl::StatusOr<ResponsesRequest> Read(const ChatRequestRules& rules) {
    VALLM_RETURN_IF_ERROR(RefuseUnsupported());
    VALLM_RETURN_IF_ERROR(ReadConversation());
    VALLM_RETURN_IF_ERROR(ReadResponsesTools(body_, &chat_));
    VALLM_RETURN_IF_ERROR(ReadText());
    VALLM_RETURN_IF_ERROR(ReadReasoning());
    VALLM_RETURN_IF_ERROR(ReadLogprobs(rules.max_logprobs));
    VALLM_RETURN_IF_ERROR(CheckMetadata());
    VALLM_ASSIGN_OR_RETURN(const auto store, body_.Bool("store"));
    request_.store = store.value_or(true) && store_.enabled();
    VALLM_ASSIGN_OR_RETURN(
        const auto max_tokens,
        body_.Integer("max_output_tokens", 1, std::numeric_limits<int32_t>::max()));
    if (max_tokens.has_value()) chat_["max_tokens"] = *max_tokens;
    // What has not been translated has the same name and meaning in a chat, or is told as ignored.
    for (const std::string& name : body_.Unread()) chat_[name] = json_[name];
    request_.settings = Settings();
    absl::StatusOr<ChatRequest> chat = ReadChatRequest(std::move(chat_), rules);
    if (!chat.ok()) return NamedAsHere(chat.status());
    request_.chat = *std::move(chat);
    NameConstraint();
    auto& ignored = request_.chat.params.ignored;
    ignored.insert(ignored.begin(), ignored_.begin(), ignored_.end());
    return std::move(request_);
  }

 private:
  absl::Status RefuseUnsupported() {
    VALLM_ASSIGN_OR_RETURN(const auto background, body_.Bool("background"));
    if (background.value_or(false)) {
      return UnsupportedParam("background", "'background' true is not supported");
    }
    VALLM_ASSIGN_OR_RETURN(const auto truncation, body_.String("truncation"));
    if (truncation.value_or("disabled") != "disabled") {
      return UnsupportedParam("truncation",
                              "'truncation' must be \"disabled\": an input that is too long is "
                              "refused, not cut");
    }
    for (const char* name : kUnsupported) {
      const Json* value = body_.Find(name);
      if (value == nullptr || value->empty()) continue;
      return UnsupportedParam(name, absl::StrCat("'", name, "' is not supported"));
    }
    for (const char* name : kChatOnly) {
      if (body_.Find(name) == nullptr) continue;
      return UnsupportedParam(
          name, absl::StrCat("'", name, "' is not supported here; use /v1/chat/completions"));
    }
    return absl::OkStatus();
  }

  // The conversation: the responses before, then `input`, under `instructions`.
  absl::Status ReadConversation() {
    VALLM_ASSIGN_OR_RETURN(const auto previous, body_.String("previous_response_id"));
    if (previous.has_value()) VALLM_RETURN_IF_ERROR(GoOnFrom(*previous));
    const auto lookup = [this](const std::string& id) { return store_.FindItem(owner_, id); };
    if (const Json* input = body_.Find("input")) {
      VALLM_ASSIGN_OR_RETURN(std::vector<ResponseItem> items, ReadInputItems(*input, lookup));
      std::move(items.begin(), items.end(), std::back_inserter(request_.input));
    } else if (!previous.has_value()) {
      return MissingField("input");
    }
    if (request_.input.empty()) return InvalidParam("input", "'input' is empty");
    VALLM_ASSIGN_OR_RETURN(const auto instructions, body_.String("instructions"));
    chat_["messages"] =
        ChatMessagesOfItems(instructions.has_value() ? &*instructions : nullptr, request_.input);
    return absl::OkStatus();
  }

  absl::Status GoOnFrom(const std::string& id) {
    const std::shared_ptr<const StoredResponse> previous = store_.Get(owner_, id);
    if (previous == nullptr) {
      const char* hint = store_.enabled() ? "" : ": this server stores no responses";
      return WithErrorCode(absl::InvalidArgumentError(absl::StrCat("previous response with id '",
                                                                   id, "' not found", hint)),
                           "previous_response_not_found", "previous_response_id");
    }
    request_.input = previous->input;
    request_.input.insert(request_.input.end(), previous->output.begin(), previous->output.end());
    return absl::OkStatus();
  }

  absl::StatusOr<const Json*> ObjectOrNull(const char* name) {
    const Json* value = body_.Find(name);
    if (value == nullptr || value->is_object()) return value;
    return WrongType(name, "an object", *value);
  }

  // {"format": …, "verbosity": …}; a schema stands in the format itself, not in a member of it.
  absl::Status ReadText() {
    VALLM_ASSIGN_OR_RETURN(const Json* text, ObjectOrNull("text"));
    if (text == nullptr) return absl::OkStatus();
    JsonObject fields(*text, "text.");
    const Json* format = fields.Find("format");
    for (const std::string& name : fields.Unread()) ignored_.push_back(fields.PathOf(name));
    if (format == nullptr) return absl::OkStatus();
    if (!format->is_object()) return WrongType("text.format", "an object", *format);
    Json translated = {{"type", format->value("type", Json())}};
    if (translated["type"] == "json_schema") {
      Json schema = *format;
      schema.erase("type");
      translated["json_schema"] = std::move(schema);
    }
    chat_["response_format"] = std::move(translated);
    return absl::OkStatus();
  }

  absl::Status ReadReasoning() {
    VALLM_ASSIGN_OR_RETURN(const Json* reasoning, ObjectOrNull("reasoning"));
    if (reasoning == nullptr) return absl::OkStatus();
    JsonObject fields(*reasoning, "reasoning.");
    VALLM_ASSIGN_OR_RETURN(const auto effort, fields.String("effort"));
    if (effort.has_value()) chat_["reasoning_effort"] = *effort;
    for (const char* name : {"summary", "generate_summary"}) {
      VALLM_ASSIGN_OR_RETURN(const auto summary, fields.String(name));
      if (!summary.has_value()) continue;
      if (*summary != "auto" && *summary != "concise" && *summary != "detailed") {
        return InvalidParam(fields.PathOf(name),
                            absl::StrCat("'", fields.PathOf(name), "' is \"", *summary,
                                         "\"; it must be auto, concise or detailed"));
      }
      request_.thought_as_summary = true;
    }
    for (const std::string& name : fields.Unread()) ignored_.push_back(fields.PathOf(name));
    return absl::OkStatus();
  }

  absl::Status ReadLogprobs(int max_logprobs) {
    VALLM_ASSIGN_OR_RETURN(const auto top, body_.Integer("top_logprobs", 0, max_logprobs));
    VALLM_ASSIGN_OR_RETURN(const std::vector<std::string> include, body_.Strings("include"));
    bool wanted = top.value_or(0) > 0;
    for (const std::string& name : include) {
      if (std::find(kIncludable.begin(), kIncludable.end(), name) == kIncludable.end()) {
        return InvalidParam("include",
                            absl::StrCat("'include' has \"", name, "\", which is not known"));
      }
      wanted |= name == kIncludeLogprobs;
      if (name != kIncludeLogprobs) ignored_.push_back(absl::StrCat("include.", name));
    }
    if (!wanted) return absl::OkStatus();
    chat_["logprobs"] = true;
    chat_["top_logprobs"] = top.value_or(0);
    return absl::OkStatus();
  }

  absl::Status CheckMetadata() {
    VALLM_ASSIGN_OR_RETURN(const Json* metadata, ObjectOrNull("metadata"));
    if (metadata == nullptr) return absl::OkStatus();
    if (metadata->size() > kMaxMetadata) {
      return InvalidParam("metadata",
                          absl::StrCat("'metadata' has ", metadata->size(), " members; at most ",
                                       kMaxMetadata, " are allowed"));
    }
    for (const auto& [key, value] : metadata->items()) {
      const std::string path = absl::StrCat("metadata.", key);
      if (!value.is_string()) return WrongType(path, "a string", value);
      if (key.size() > kMaxMetadataKeyBytes ||
          value.get_ref<const std::string&>().size() > kMaxMetadataValueBytes) {
        return InvalidParam("metadata",
                            absl::StrCat("a key of 'metadata' may have ", kMaxMetadataKeyBytes,
                                         " bytes, a value ", kMaxMetadataValueBytes));
      }
    }
    return absl::OkStatus();
  }

  // The member as the client wrote it, or what it is without it.
  Json Given(const char* name, Json absent = nullptr) const {
    const auto found = json_.find(name);
    return found == json_.end() || found->is_null() ? std::move(absent) : *found;
  }

  std::string Settings() const {
    Json settings = {
        {"background", false}, {"truncation", "disabled"}, {"service_tier", "default"}};
    for (const char* name :
         {"instructions", "max_output_tokens", "max_tool_calls", "previous_response_id",
          "prompt_cache_key", "safety_identifier", "temperature", "top_p", "user"}) {
      settings[name] = Given(name);
    }
    settings["store"] = request_.store;
    settings["metadata"] = Given("metadata", Json::object());
    settings["parallel_tool_calls"] = Given("parallel_tool_calls", true);
    settings["tools"] = Given("tools", Json::array());
    settings["tool_choice"] = Given("tool_choice", "auto");
    settings["top_logprobs"] = Given("top_logprobs", 0);
    settings["text"] = Given("text", Json::object());
    if (!settings["text"].contains("format")) settings["text"]["format"] = {{"type", "text"}};
    settings["reasoning"] = Given("reasoning", Json::object());
    for (const char* name : {"effort", "summary"}) {
      if (!settings["reasoning"].contains(name)) settings["reasoning"][name] = nullptr;
    }
    const std::string object = settings.dump();
    return object.substr(1, object.size() - 2);
  }

  static absl::Status NamedAsHere(absl::Status status) {
    for (const Renamed& name : kRenamed) status = WithParamRenamed(status, name.chat, name.here);
    return status;
  }

  // The engine's refusal of a schema comes later and is put in the constraint's words.
  void NameConstraint() {
    auto& constraint = request_.chat.params.constraint;
    if (!constraint.has_value()) return;
    absl::string_view rest = constraint->param;
    if (absl::ConsumePrefix(&rest, "response_format.json_schema")) {
      constraint->param = absl::StrCat("text.format", rest);
    }
  }

  const Json& json_;
  JsonObject body_;
  ResponseStore& store_;
  const std::string& owner_;
  Json chat_ = Json::object();
  std::vector<std::string> ignored_;
  ResponsesRequest request_;
};

}  // namespace

absl::StatusOr<ResponsesRequest> ParseResponsesRequest(std::string_view body,
                                                       const ChatRequestRules& rules,
                                                       ResponseStore& store,
                                                       const std::string& owner) {
  VALLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(body));
  return Reader(json, store, owner).Read(rules);
}

}  // namespace vallm::gateway
