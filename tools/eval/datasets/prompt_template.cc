#include "tools/eval/datasets/prompt_template.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/strings.h"

namespace vallm::eval {

absl::StatusOr<std::string> FillTemplate(std::string_view text,
                                         const std::map<std::string, std::string>& values) {
  std::string filled;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c != '{' && c != '}') {
      filled.push_back(c);
      continue;
    }
    if (at + 1 < text.size() && text[at + 1] == c) {
      filled.push_back(c);
      ++at;
      continue;
    }
    const size_t end = text.find('}', at);
    if (c == '}' || end == std::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("template '", ToAbsl(text), "': write {{ or }} for a brace"));
    }
    const std::string name(text.substr(at + 1, end - at - 1));
    const auto value = values.find(name);
    if (value == values.end()) {
      std::string known;
      for (const auto& [key, unused] : values) absl::StrAppend(&known, " {", key, "}");
      return absl::InvalidArgumentError(
          absl::StrCat("template '", ToAbsl(text), "': no {", name, "} here; there is", known));
    }
    filled += value->second;
    at = end;
  }
  return filled;
}

JsonRef ChatMessages(const std::string& system, const std::string& user) {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", user}});
  return ShareJson(std::move(messages));
}

}  // namespace vallm::eval
