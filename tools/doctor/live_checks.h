// What can be known of a server only by asking it: whether it answers, whether streams and whole
// answers agree, whether answers repeat, whether thinking, tools and formats hold, what it refuses.
#ifndef VALLM_TOOLS_DOCTOR_LIVE_CHECKS_H_
#define VALLM_TOOLS_DOCTOR_LIVE_CHECKS_H_

#include <string>

#include "absl/status/statusor.h"
#include "tools/doctor/endpoint.h"
#include "tools/doctor/finding.h"

namespace vallm::tools {

// Appends a finding per check. `model`: its name there; empty: the first that it lists. Some twenty
// short requests.
void CheckLive(const Endpoint& endpoint, const std::string& model, Findings& findings);

// A golden file has a line per request: {"name", "request": {messages, …}, "answer": {reasoning,
// content, tool_calls, finish_reason, prompt_tokens, completion_tokens}}. Requests are answered at
// temperature 0, so a server with the same weights and numerics has to give the same answers.

// Appends a finding for each line that is answered otherwise, or one for all.
void CheckGolden(const Endpoint& endpoint, const std::string& model, const std::string& file,
                 Findings& findings);

// Writes such a file with the server's answers to the requests of `CheckLive`'s kind; returns how
// many. Errors: of a request, FAILED_PRECONDITION when the file cannot be written.
absl::StatusOr<int> RecordGolden(const Endpoint& endpoint, const std::string& model,
                                 const std::string& file);

// `model`, or the first that the server lists. Errors: those of Endpoint.
absl::StatusOr<std::string> ModelOf(const Endpoint& endpoint, const std::string& model);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DOCTOR_LIVE_CHECKS_H_
