#include "gateway/openai/background_tasks.h"

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "common/strings.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kCustom = "custom";

// Open WebUI's tasks (backend/open_webui/config.py, DEFAULT_..._PROMPT_TEMPLATE, read in 0.12.4).
// All are one user message that opens with kOpening, say what is wanted, usually the key of the
// JSON object that is to come, and quote the chat behind kChat. Only what precedes kChat counts:
// what users write does not.
constexpr std::string_view kOpening = "### Task:";
constexpr std::string_view kChat = "<chat_history>";
struct Marker {
  std::string_view task;
  std::string_view text;
};
constexpr std::array kMarkers = {
    Marker{"title", "\"title\":"},
    Marker{"tags", "\"tags\":"},
    Marker{"follow_ups", "\"follow_ups\":"},
    Marker{"queries", "\"queries\":"},
    Marker{"autocomplete", "autocompletion system"},
    Marker{"image_prompt", "image generation task"},
};
// The one that has neither opening nor quotation: it begins like this.
constexpr Marker kEmoji = {"emoji",
                           "Your task is to reflect the speaker's likely facial expression"};

std::string InsideJson(std::string_view text) {
  const std::string quoted =
      Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The text of the one user message, or "" if there are more, or other turns beside system ones.
std::string OnlyQuestion(std::string_view messages_json) {
  const Json messages = Json::parse(messages_json, nullptr, /*allow_exceptions=*/false);
  std::string question;
  if (!messages.is_array()) return "";
  for (const Json& message : messages) {
    const std::string role = message.value("role", "");
    if (role == "system") continue;
    const auto content = message.find("content");
    const bool is_text = content != message.end() && content->is_string();
    if (role != "user" || !is_text || !question.empty()) return "";
    question = content->get<std::string>();
  }
  return question;
}

std::string_view TaskOf(std::string_view question) {
  if (absl::StartsWith(ToAbsl(question), ToAbsl(kEmoji.text))) return kEmoji.task;
  const size_t chat = question.find(kChat);
  if (!absl::StartsWith(ToAbsl(question), ToAbsl(kOpening)) || chat == std::string_view::npos) {
    return "";
  }
  for (const Marker& marker : kMarkers) {
    if (Contains(question.substr(0, chat), marker.text)) return marker.task;
  }
  return "";
}

}  // namespace

BackgroundTasks::BackgroundTasks(bool recognise, const std::vector<std::string>& markers)
    : recognise_(recognise) {
  for (const std::string& marker : markers) markers_.push_back(InsideJson(marker));
}

std::string_view BackgroundTasks::Recognise(std::string_view messages_json) const {
  if (!recognise_) return "";
  bool custom = false;
  for (const std::string& marker : markers_) custom |= Contains(messages_json, marker);
  // Long conversations are not parsed again for nothing.
  if (!custom && !Contains(messages_json, kOpening) && !Contains(messages_json, kEmoji.text)) {
    return "";
  }
  std::string question = OnlyQuestion(messages_json);
  if (question.empty()) return "";
  absl::string_view text = question;
  const std::string_view task = TaskOf(ToStd(absl::StripLeadingAsciiWhitespace(text)));
  return task.empty() && custom ? kCustom : task;
}

std::vector<std::string_view> BackgroundTasks::Names() {
  std::vector<std::string_view> names = {kEmoji.task, kCustom};
  for (const Marker& marker : kMarkers) names.push_back(marker.task);
  return names;
}

}  // namespace vallm::gateway
