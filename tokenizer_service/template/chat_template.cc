#include "tokenizer_service/template/chat_template.h"

#include <memory>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/chat_messages.h"
#include "tokenizer_service/template/compiled_template.h"
#include "tokenizer_service/template/json_value.h"
#include "tokenizer_service/template/tool_arguments.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

// Put after the last message's text, to find where that ends in the prompt. The space at its end
// shows whether the template trimmed the text.
constexpr std::string_view kContinueMark = "CONTINUE_FINAL_MESSAGE_TAG ";

std::string_view MarkWord() { return kContinueMark.substr(0, kContinueMark.size() - 1); }

Value WithMember(const Value& object, std::string_view name, Value value) {
  auto copy = std::make_unique<DictCell>();
  for (const auto& [key, member] : object.dict().entries()) copy->Set(key, member);
  copy->Set(name, std::move(value));
  return Value::Dict(copy.release());
}

Value WithMark(const Value& text) {
  return Value::Str(absl::StrCat(ToAbsl(text.text()), ToAbsl(kContinueMark)));
}

// Marks the last text part of a list of parts; sets *text to what it was.
absl::StatusOr<Value> MarkParts(const Value& parts, std::string* text) {
  std::vector<Value> copy = parts.items();
  for (size_t i = copy.size(); i-- > 0;) {
    const Value* body = copy[i].is_dict() ? copy[i].dict().Find("text") : nullptr;
    if (body == nullptr || !body->is_str()) continue;
    *text = std::string(body->text());
    copy[i] = WithMember(copy[i], "text", WithMark(*body));
    return Value::List(std::move(copy));
  }
  return absl::InvalidArgumentError("continue_final_message: the last message has no text");
}

// `messages` with the mark at the end of the last one; sets *text to that message's text.
absl::StatusOr<Value> MarkFinalMessage(const Value& messages, std::string* text) {
  const bool usable = messages.kind() == Value::Kind::kList && !messages.items().empty() &&
                      messages.items().back().is_dict();
  const Value* content = usable ? messages.items().back().dict().Find("content") : nullptr;
  if (content == nullptr || (!content->is_str() && content->kind() != Value::Kind::kList)) {
    return absl::InvalidArgumentError(
        "continue_final_message: the last message has no content to continue");
  }
  Value marked;
  if (content->is_str()) {
    *text = std::string(content->text());
    marked = WithMark(*content);
  } else {
    VALLM_ASSIGN_OR_RETURN(marked, MarkParts(*content, text));
  }
  std::vector<Value> copy = messages.items();
  copy.back() = WithMember(copy.back(), "content", std::move(marked));
  return Value::List(std::move(copy));
}

absl::StatusOr<std::string> CutAtMark(std::string prompt, std::string_view final_text) {
  const size_t at = prompt.rfind(MarkWord());
  const std::string_view wanted = StripSpace(final_text, /*left=*/true, /*right=*/true);
  if (at == std::string::npos || prompt.find(wanted) == std::string::npos) {
    return absl::InvalidArgumentError(
        "continue_final_message: the template does not print the last message as it is");
  }
  const bool kept_spaces =
      prompt.compare(at, kContinueMark.size(), kContinueMark.data(), kContinueMark.size()) == 0;
  prompt.resize(at);
  if (!kept_spaces) {
    prompt.resize(StripSpace(prompt, /*left=*/false, /*right=*/true).size());
  }
  return prompt;
}

absl::StatusOr<Value> ParseOptional(const std::string& json, std::string_view what,
                                    Value::Kind kind) {
  if (json.empty()) return Value();
  VALLM_ASSIGN_OR_RETURN(Value value, ParseJson(json, what));
  if (value.is_none() || value.kind() == kind) return value;
  return absl::InvalidArgumentError(
      absl::StrCat(ToAbsl(what), ": must be ",
                   kind == Value::Kind::kDict ? "an object" : "an array", " or null"));
}

// The flags of `input`, as kwargs may override them.
struct Mode {
  bool add_generation_prompt = false;
  bool continue_final_message = false;
};

absl::StatusOr<Mode> ReadMode(const ChatTemplate::RenderInput& input, const Value& kwargs) {
  Mode mode{input.add_generation_prompt, input.continue_final_message};
  if (kwargs.is_dict()) {
    for (const char* reserved : {"messages", "tools"}) {
      if (kwargs.dict().Find(reserved) != nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("chat_template_kwargs: '", reserved, "' cannot be set here"));
      }
    }
    if (const Value* flag = kwargs.dict().Find("add_generation_prompt")) {
      mode.add_generation_prompt = flag->Truthy();
    }
    if (const Value* flag = kwargs.dict().Find("continue_final_message")) {
      mode.continue_final_message = flag->Truthy();
    }
  }
  if (mode.add_generation_prompt && mode.continue_final_message) {
    return absl::InvalidArgumentError(
        "add_generation_prompt and continue_final_message cannot both be set");
  }
  return mode;
}

Value MakeContext(const ChatTemplate::RenderInput& input, const Mode& mode, Value messages,
                  Value tools, const Value& kwargs) {
  auto context = std::make_unique<DictCell>();
  for (const auto& [name, token] : input.special_tokens) context->Set(name, Value::Str(token));
  context->Set("messages", std::move(messages));
  context->Set("tools", std::move(tools));
  context->Set("documents", Value());
  context->Set("add_generation_prompt", Value::Bool(mode.add_generation_prompt));
  if (kwargs.is_dict()) {
    for (const auto& [name, value] : kwargs.dict().entries()) {
      // Decides how the text is cut, not what the template prints.
      if (name.text() != "continue_final_message") context->Set(name, value);
    }
  }
  return Value::Dict(context.release());
}

}  // namespace

ChatTemplate::ChatTemplate(std::unique_ptr<const CompiledTemplate> compiled)
    : compiled_(std::move(compiled)) {}
ChatTemplate::~ChatTemplate() = default;

std::string_view ChatTemplate::source() const { return compiled_->source().text(); }

absl::StatusOr<std::unique_ptr<const ChatTemplate>> ChatTemplate::Parse(std::string source,
                                                                        const Limits& limits) {
  VALLM_ASSIGN_OR_RETURN(auto compiled, CompiledTemplate::Compile(source, limits));
  auto chat = std::unique_ptr<ChatTemplate>(new ChatTemplate(std::move(compiled)));
  chat->keeps_argument_text_ = chat->PrintsArgumentTextAsItIs();
  return std::unique_ptr<const ChatTemplate>(std::move(chat));
}

bool ChatTemplate::PrintsArgumentTextAsItIs() const {
  RenderInput probe;
  probe.messages_json =
      R"([{"role":"user","content":"a"},)"
      R"({"role":"assistant","content":"","tool_calls":[{"id":"call_0001","type":"function",)"
      R"("function":{"name":"f","arguments":"{\"probe\": [1]}"}}]},)"
      R"({"role":"tool","tool_call_id":"call_0001","name":"f","content":"b"}])";
  probe.add_generation_prompt = false;
  probe.raw_messages = true;
  const auto text = Render(probe);
  return text.ok() && text->find(R"({"probe": [1]})") != std::string::npos;
}

absl::StatusOr<std::string> ChatTemplate::Render(const RenderInput& input) const {
  VALLM_ASSIGN_OR_RETURN(Value messages, ParseJson(input.messages_json, "messages"));
  VALLM_ASSIGN_OR_RETURN(const Value tools,
                         ParseOptional(input.tools_json, "tools", Value::Kind::kList));
  VALLM_ASSIGN_OR_RETURN(
      const Value kwargs,
      ParseOptional(input.kwargs_json, "chat_template_kwargs", Value::Kind::kDict));
  VALLM_ASSIGN_OR_RETURN(const Mode mode, ReadMode(input, kwargs));
  if (!input.raw_messages) {
    VALLM_ASSIGN_OR_RETURN(messages, NormalizeMessageValues(messages));
    if (!keeps_argument_text_) {
      messages = WithArgumentObjects(messages, MalformedArguments::kText);
    }
  }
  std::string final_text;
  if (mode.continue_final_message) {
    VALLM_ASSIGN_OR_RETURN(messages, MarkFinalMessage(messages, &final_text));
  }
  const auto render = [&](const Value& given) {
    return compiled_->Render(MakeContext(input, mode, given, tools, kwargs), input.now,
                             input.time_zone);
  };
  auto rendered = render(messages);
  if (!rendered.ok() && !input.raw_messages && HasArgumentText(messages)) {
    // One malformed call of the past must not end a conversation: some templates fail on text.
    auto second = render(WithArgumentObjects(messages, MalformedArguments::kObject));
    if (second.ok()) rendered = std::move(second);
  }
  VALLM_ASSIGN_OR_RETURN(std::string prompt, std::move(rendered));
  if (!mode.continue_final_message) return prompt;
  return CutAtMark(std::move(prompt), final_text);
}

}  // namespace vallm::tokenizer
