#include "tools/eval/scoring/answer_check.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/eval/code/code_tests.h"
#include "tools/eval/text/regex.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

bool Number(const ordered_json& check, const std::string& answer) {
  static const Regex& boxed = *new Regex(Regex::Of(R"(\\boxed\{(-?[\d.,]+)\})"));
  static const Regex& number = *new Regex(Regex::Of(R"(-?\d+(?:\.\d+)?)"));
  const double value = check.at("value").get<double>();
  const std::string plain = ReplaceEach(answer, ",", "");
  auto found = boxed.FindAll(answer);
  std::string text;
  if (!found.empty()) {
    text = ReplaceEach(found.back()[1], ",", "");
    while (!text.empty() && text.back() == '.') text.pop_back();
  } else {
    found = number.FindAll(plain);
    if (found.empty()) return false;
    text = std::string(found.back()[0]);
    // "12 -3" at the end is a difference, not minus three, where a positive number is wanted.
    if (text[0] == '-' && value >= 0) {
      const Regex difference = Regex::Of(R"(\d\s*)" + EscapeRegex(text) + R"(\s*$)");
      if (difference.Matches(answer)) text.erase(0, 1);
    }
  }
  return std::strtod(text.c_str(), nullptr) == value;
}

std::vector<std::string> Texts(const ordered_json& check) {
  return check.at("value").get<std::vector<std::string>>();
}

bool Choice(const ordered_json& check, const std::string& answer) {
  static const auto& rules = *[] {
    auto* list = new std::vector<Regex>;
    for (const char* rule :
         {R"((?:ANSWER|Answer|答案)\s*[:：是]\s*\(?([A-J])\)?)", R"(\\boxed\{([A-J])\})",
          R"([Tt]he answer is \(?([A-J])\)?)", R"(^\(?([A-J])\)?[.)]?$)"}) {
      list->push_back(Regex::Of(rule));
    }
    return list;
  }();
  const std::string text(Strip(answer));
  for (const Regex& rule : rules) {
    const auto found = rule.FindAll(text);
    if (!found.empty()) return found.back()[1] == check.at("value").get<std::string>();
  }
  return false;
}

bool Json(const ordered_json& check, const std::string& answer) {
  std::string text(Strip(answer));
  if (text.rfind("```json", 0) == 0) text.erase(0, 7);
  if (text.size() >= 3 && text.substr(text.size() - 3) == "```") text.resize(text.size() - 3);
  // Objects are equal whatever the order of their members.
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  return !json.is_discarded() && json == nlohmann::json::parse(check.at("value").dump());
}

bool Items(const ordered_json& check, const std::string& answer) {
  static const Regex& bullet = *new Regex(Regex::Of(R"(^(?:\d+\.|-)\s*)"));
  const auto allowed = check.at("allowed").get<std::set<std::string>>();
  std::set<std::string> seen;
  int64_t count = 0;
  for (const std::string_view line : SplitAt(Strip(answer), "\n")) {
    if (Strip(line).empty()) continue;
    const std::string item(Strip(bullet.Replace(line, "")));
    ++count;
    if (allowed.count(item) == 0 || !seen.insert(item).second) return false;
  }
  return count == check.at("n").get<int64_t>();
}

bool ToolCalls(const ordered_json& check, const std::string& answer, const JsonRef& tool_calls) {
  if (!Strip(answer).empty() || tool_calls == nullptr) return false;
  nlohmann::json calls = nlohmann::json::array();
  for (const ordered_json& call : *tool_calls) {
    if (!call.is_object() || !call.contains("function")) return false;
    const ordered_json& function = call["function"];
    auto arguments = nlohmann::json::parse(TextMember(function, "arguments"), nullptr, false);
    if (arguments.is_discarded()) return false;
    calls.push_back({{"name", TextMember(function, "name")}, {"arguments", std::move(arguments)}});
  }
  return calls == nlohmann::json::parse(check.at("value").dump());
}

bool Python(const ordered_json& check, const std::string& answer, const PythonSandbox& sandbox) {
  static const Regex& fence = *new Regex(Regex::Of("```(?:python)?\\n(.*?)```", {.dot_all = true}));
  const auto match = fence.Search(answer);
  CodeProblem problem{.tests = {}, .function = check.at("func").get<std::string>()};
  for (const ordered_json& test : check.at("tests")) {
    std::string arguments;
    for (const ordered_json& argument : test.at(0)) {
      absl::StrAppend(&arguments, arguments.empty() ? "" : "\n", argument.dump());
    }
    problem.tests.push_back({.input = std::move(arguments), .output = test.at(1).dump()});
  }
  const auto verdict =
      RunCodeTests(sandbox, problem, std::string(match ? (*match)[1] : answer), RunLimits());
  return verdict.ok() && verdict->passed;
}

const std::map<std::string, std::vector<const char*>>& Members() {
  static const auto& members = *new std::map<std::string, std::vector<const char*>>{
      {"number", {"value"}},  {"exact", {"value"}},         {"contains", {"value"}},
      {"any", {"value"}},     {"regex", {"value"}},         {"choice", {"value"}},
      {"json", {"value"}},    {"items", {"n", "allowed"}},  {"tool_calls", {"value"}},
      {"no_call", {"value"}}, {"python", {"func", "tests"}}};
  return members;
}

bool TypesFit(const std::string& type, const ordered_json& check) {
  const auto strings = [](const ordered_json& list) {
    return list.is_array() && std::all_of(list.begin(), list.end(),
                                          [](const ordered_json& x) { return x.is_string(); });
  };
  if (type == "number") return check["value"].is_number();
  if (type == "exact" || type == "choice") return check["value"].is_string();
  if (type == "regex")
    return check["value"].is_string() && Regex::Compile(TextMember(check, "value")).ok();
  if (type == "contains" || type == "any" || type == "no_call") return strings(check["value"]);
  if (type == "items") return check["n"].is_number_integer() && strings(check["allowed"]);
  if (type == "tool_calls") return check["value"].is_array();
  if (type == "python") {
    return check["func"].is_string() && check["tests"].is_array() &&
           std::all_of(check["tests"].begin(), check["tests"].end(), [](const ordered_json& test) {
             return test.is_array() && test.size() == 2 && test[0].is_array();
           });
  }
  return true;
}

}  // namespace

absl::Status ValidateCheck(const ordered_json& check) {
  const std::string type = TextMember(check, "type");
  const auto members = Members().find(type);
  if (members == Members().end()) {
    return absl::InvalidArgumentError(absl::StrCat("'check' has no known type: '", type, "'"));
  }
  for (const char* member : members->second) {
    if (!check.contains(member)) {
      return absl::InvalidArgumentError(absl::StrCat("'check' of type ", type, " lacks ", member));
    }
  }
  if (!TypesFit(type, check)) {
    return absl::InvalidArgumentError(absl::StrCat("'check' of type ", type, " is malformed"));
  }
  if (check.contains("then") && !check["then"].is_null()) return ValidateCheck(check["then"]);
  return absl::OkStatus();
}

bool CheckRunsCode(const ordered_json& check) {
  return TextMember(check, "type") == "python" ||
         (check.contains("then") && check["then"].is_object() && CheckRunsCode(check["then"]));
}

bool PassesCheck(const ordered_json& check, const std::string& answer, const JsonRef& tool_calls,
                 const PythonSandbox* sandbox) {
  const std::string type = TextMember(check, "type");
  const auto occurs = [lower = Lower(answer)](const std::string& text) {
    return Contains(lower, Lower(text));
  };
  if (type == "number") return Number(check, answer);
  if (type == "exact") return Strip(answer) == Strip(TextMember(check, "value"));
  if (type == "regex") return Regex::Compile(TextMember(check, "value"))->Matches(answer);
  if (type == "choice") return Choice(check, answer);
  if (type == "json") return Json(check, answer);
  if (type == "items") return Items(check, answer);
  if (type == "tool_calls") return ToolCalls(check, answer, tool_calls);
  if (type == "python") return Python(check, answer, *sandbox);
  const std::vector<std::string> texts = Texts(check);
  if (type == "contains") return std::all_of(texts.begin(), texts.end(), occurs);
  if (type == "any") return std::any_of(texts.begin(), texts.end(), occurs);
  // no_call
  return (tool_calls == nullptr || tool_calls->empty()) && !Contains(answer, "<tool_call>") &&
         std::all_of(texts.begin(), texts.end(),
                     [&answer](const std::string& text) { return Contains(answer, text); }) &&
         (!check.contains("then") || check["then"].is_null() ||
          PassesCheck(check["then"], answer, tool_calls, sandbox));
}

}  // namespace vallm::eval
