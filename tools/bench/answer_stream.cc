#include "tools/bench/answer_stream.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/strings.h"
#include "nlohmann/json.hpp"

namespace vallm::tools {
namespace {

using Json = nlohmann::json;

void AppendString(const Json& object, const char* name, std::string* text) {
  const auto member = object.find(name);
  if (member != object.end() && member->is_string()) *text += member->get_ref<const std::string&>();
}

void TakeCount(const Json& usage, const char* name, int64_t* count) {
  const auto member = usage.find(name);
  if (member != usage.end() && member->is_number_integer()) *count = member->get<int64_t>();
}

}  // namespace

void AnswerStream::Feed(std::string_view bytes, double now) {
  for (const std::string& data : parser_.Feed(bytes)) TakeEvent(data, now);
}

void AnswerStream::TakeEvent(std::string_view data, double now) {
  if (data == "[DONE]") return;
  const Json event = Json::parse(data, nullptr, /*allow_exceptions=*/false);
  if (!event.is_object()) {
    if (error_.empty()) error_ = absl::StrCat("an event is not JSON: ", ToAbsl(data.substr(0, 80)));
    return;
  }
  if (event.contains("error") && !event["error"].is_null()) {
    if (error_.empty()) error_ = ErrorMessage(data);
    return;
  }
  const auto choices = event.find("choices");
  if (choices != event.end() && choices->is_array() && !choices->empty()) {
    if (chunks_++ == 0) {
      first_s_ = now;
    } else {
      gaps_s_.push_back(now - last_s_);
    }
    last_s_ = now;
    const Json& choice = choices->front();
    if (choice.is_object()) {
      AppendString(choice, "text", &text_);
      const auto delta = choice.find("delta");
      if (delta != choice.end() && delta->is_object()) {
        const char* const reasoning =
            delta->contains("reasoning_content") ? "reasoning_content" : "reasoning";
        AppendString(*delta, reasoning, &text_);
        AppendString(*delta, "content", &text_);
      }
    }
  }
  const auto usage = event.find("usage");
  if (usage != event.end() && usage->is_object()) {
    TakeCount(*usage, "completion_tokens", &completion_tokens_);
    TakeCount(*usage, "prompt_tokens", &prompt_tokens_);
  }
}

std::string ErrorMessage(std::string_view body) {
  const Json parsed = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object()) {
    const Json& error = parsed.contains("error") ? parsed["error"] : parsed;
    if (error.is_string()) return error.get<std::string>();
    if (error.is_object() && error.contains("message") && error["message"].is_string()) {
      return error["message"].get<std::string>();
    }
  }
  constexpr size_t kMost = 200;
  return absl::StrReplaceAll(ToAbsl(body.substr(0, kMost)), {{"\n", " "}, {"\r", ""}});
}

}  // namespace vallm::tools
