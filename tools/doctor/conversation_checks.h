// What can be known of a conversation before anything runs: tokenizer, chat template, reasoning and
// tool parsers.
#ifndef VALLM_TOOLS_DOCTOR_CONVERSATION_CHECKS_H_
#define VALLM_TOOLS_DOCTOR_CONVERSATION_CHECKS_H_

#include "tools/doctor/finding.h"
#include "tools/serve/options.h"

namespace vallm::tools {

// Appends a finding per check. Where a check fails, those that need what it looked at are left out.
void CheckConversation(const ServeOptions& options, Findings& findings);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DOCTOR_CONVERSATION_CHECKS_H_
