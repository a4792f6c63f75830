#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/doctor/live_checks.h"

namespace vallm::tools {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kMaxTokens = 64;

// Requests that say something about every part: languages, thinking, tools, history, long input.
json Requests() {
  const auto user = [](const std::string& text) {
    return json{{{"role", "user"}, {"content", text}}};
  };
  const json no_thinking = {{"enable_thinking", false}};
  std::string long_text = "Read this and say how often it says 'word':";
  for (int i = 0; i < 100; ++i) absl::StrAppend(&long_text, " word ", i);
  return {
      {{"name", "greeting"}, {"messages", user("Hello!")}},
      {{"name", "sum"}, {"messages", user("What is 478 + 356?")}},
      {{"name", "chinese"}, {"messages", user("你是谁？")}, {"chat_template_kwargs", no_thinking}},
      {{"name", "code"},
       {"messages", user("Write a Python function that adds two numbers.")},
       {"chat_template_kwargs", no_thinking}},
      {{"name", "history"},
       {"messages",
        {{{"role", "system"}, {"content", "Be brief."}},
         {{"role", "user"}, {"content", "My name is Ada."}},
         {{"role", "assistant"}, {"content", "Hello Ada."}},
         {{"role", "user"}, {"content", "What is my name?"}}}}},
      {{"name", "long"}, {"messages", user(long_text)}, {"chat_template_kwargs", no_thinking}},
      {{"name", "sampled"},
       {"messages", user("Tell me something.")},
       {"temperature", 0.8},
       {"seed", 1234}},
  };
}

json BodyOf(const json& request, const std::string& model) {
  json body = request;
  body.erase("name");
  body["model"] = model;
  if (!body.contains("temperature")) body["temperature"] = 0;
  if (!body.contains("max_tokens")) body["max_tokens"] = kMaxTokens;
  return body;
}

ordered_json AnswerJson(const ChatAnswer& answer) {
  return {{"reasoning", answer.reasoning},         {"content", answer.content},
          {"tool_calls", answer.tool_calls},       {"finish_reason", answer.finish_reason},
          {"prompt_tokens", answer.prompt_tokens}, {"completion_tokens", answer.completion_tokens}};
}

// The first member that differs, with both values; empty: none.
std::string Difference(const json& expected, const ordered_json& got) {
  for (const auto& [name, value] : got.items()) {
    const auto wanted = expected.find(name);
    if (wanted == expected.end() || wanted->dump() == value.dump()) continue;
    return absl::StrCat(name, " is ", value.dump(), ", recorded was ", wanted->dump());
  }
  return "";
}

}  // namespace

void CheckGolden(const Endpoint& endpoint, const std::string& model, const std::string& file,
                 Findings& findings) {
  std::ifstream lines(file);
  if (!lines) {
    findings.push_back({.check = "golden",
                        .verdict = Verdict::kFail,
                        .detail = absl::StrCat("cannot read ", file),
                        .remedy = "make one on a server you trust: vallm doctor --record FILE"});
    return;
  }
  int count = 0;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty()) continue;
    const json row = json::parse(line, nullptr, /*allow_exceptions=*/false);
    const bool usable = row.is_object() && row.contains("request") && row.contains("answer") &&
                        row["request"].is_object() && row["answer"].is_object();
    const std::string name = usable ? row.value("name", absl::StrCat("line ", number)) : "";
    if (!usable) {
      findings.push_back({.check = "golden",
                          .verdict = Verdict::kFail,
                          .detail = absl::StrCat(file, " line ", number,
                                                 ": not {\"request\": {…}, \"answer\": {…}}"),
                          .remedy = "record the file again"});
      continue;
    }
    ++count;
    const auto answer = endpoint.Chat(BodyOf(row["request"], model));
    const std::string difference = answer.ok() ? Difference(row["answer"], AnswerJson(*answer))
                                               : std::string(answer.status().message());
    if (difference.empty()) continue;
    findings.push_back({.check = "golden",
                        .verdict = Verdict::kFail,
                        .detail = absl::StrCat(name, ": ", difference),
                        .remedy = "weights, template, numerics or defaults are not those that were "
                                  "recorded; if that is meant, record again"});
  }
  for (const Finding& finding : findings) {
    if (finding.check == "golden") return;
  }
  findings.push_back({.check = "golden",
                      .verdict = count == 0 ? Verdict::kWarn : Verdict::kPass,
                      .detail = absl::StrCat(count, " answers are those of ", file)});
}

absl::StatusOr<int> RecordGolden(const Endpoint& endpoint, const std::string& model,
                                 const std::string& file) {
  std::string text;
  int count = 0;
  for (const json& request : Requests()) {
    const json body = BodyOf(request, model);
    VALLM_ASSIGN_OR_RETURN(const ChatAnswer answer, endpoint.Chat(body));
    json kept = body;
    kept.erase("model");
    const ordered_json row = {
        {"name", request["name"]}, {"request", kept}, {"answer", AnswerJson(answer)}};
    absl::StrAppend(&text, row.dump(), "\n");
    ++count;
  }
  std::ofstream out(file, std::ios::trunc);
  out << text;
  out.close();
  if (out) return count;
  return absl::FailedPreconditionError(absl::StrCat("cannot write ", file));
}

}  // namespace vallm::tools
