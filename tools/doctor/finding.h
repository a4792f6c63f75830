// What a check found, and how findings are shown. Pure.
#ifndef VALLM_TOOLS_DOCTOR_FINDING_H_
#define VALLM_TOOLS_DOCTOR_FINDING_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace vallm::tools {

enum class Verdict { kPass, kWarn, kFail };

struct Finding {
  std::string check;  // "weights", "chat template", …
  Verdict verdict = Verdict::kPass;
  std::string detail = {};  // what is there
  std::string remedy = {};  // what to do; empty where there is nothing to do
};

using Findings = std::vector<Finding>;

// "pass", "warn" or "FAIL".
std::string_view VerdictName(Verdict verdict);

bool AnyFailed(const Findings& findings);

// A failure whose detail is the status's message.
Finding Failure(std::string check, const absl::Status& status, std::string remedy = "");

// A table, one check a line, what to do below it. `color`: for terminals.
std::string FindingsTable(const Findings& findings, bool color);

// {"ok": true|false, "checks": [{"check", "verdict", "detail", "remedy"}]}, indented.
std::string FindingsJson(const Findings& findings);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DOCTOR_FINDING_H_
