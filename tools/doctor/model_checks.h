// What can be known of a model and its options before anything runs: files, configuration, weights,
// conversation (conversation_checks.h), tensor parallelism, context, KV pool.
#ifndef VALLM_TOOLS_DOCTOR_MODEL_CHECKS_H_
#define VALLM_TOOLS_DOCTOR_MODEL_CHECKS_H_

#include "tools/doctor/finding.h"
#include "tools/serve/options.h"

namespace vallm::tools {

// Appends a finding per check. Reads headers, not weights: seconds even for large models. Where a
// check fails, those that need what it looked at are left out.
void CheckModel(const ServeOptions& options, Findings& findings);

// The same without what needs the device itself: for a model that will run elsewhere.
void CheckModelFiles(const ServeOptions& options, Findings& findings);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DOCTOR_MODEL_CHECKS_H_
