#include "tools/doctor/finding.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/strings.h"

namespace vallm::tools {
namespace {

constexpr int kCheckWidth = 18;

const char* ColorOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "\033[32m";
    case Verdict::kWarn:
      return "\033[33m";
    case Verdict::kFail:
      return "\033[31m";
  }
  return "";
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kWarn:
      return "warn";
    case Verdict::kFail:
      return "FAIL";
  }
  return "";
}

bool AnyFailed(const Findings& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.verdict == Verdict::kFail; });
}

Finding Failure(std::string check, const absl::Status& status, std::string remedy) {
  return {.check = std::move(check),
          .verdict = Verdict::kFail,
          .detail = std::string(status.message()),
          .remedy = std::move(remedy)};
}

namespace {

// What models and systems say may have line breaks.
std::string OneLine(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  }
  absl::RemoveExtraAsciiWhitespace(&text);
  return text;
}

}  // namespace

std::string FindingsTable(const Findings& findings, bool color) {
  std::string table;
  for (const Finding& finding : findings) {
    absl::StrAppendFormat(&table, "%s%s%s  %-*s %s\n", color ? ColorOf(finding.verdict) : "",
                          ToAbsl(VerdictName(finding.verdict)), color ? "\033[0m" : "", kCheckWidth,
                          finding.check, OneLine(finding.detail));
    if (!finding.remedy.empty()) {
      absl::StrAppendFormat(&table, "      %-*s -> %s\n", kCheckWidth, "", finding.remedy);
    }
  }
  return table;
}

std::string FindingsJson(const Findings& findings) {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    checks.push_back(
        {{"check", finding.check},
         {"verdict",
          finding.verdict == Verdict::kFail ? "fail" : std::string(VerdictName(finding.verdict))},
         {"detail", finding.detail},
         {"remedy", finding.remedy}});
  }
  const nlohmann::ordered_json json = {{"ok", !AnyFailed(findings)}, {"checks", checks}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace vallm::tools
