// What runs, in lines for people: addresses, model, limits.
#ifndef VALLM_TOOLS_SERVE_SERVICE_SUMMARY_H_
#define VALLM_TOOLS_SERVE_SERVICE_SUMMARY_H_

#include <string>

#include "tools/serve/options.h"
#include "tools/serve/preflight.h"

namespace vallm::tools {

// One "  name   value" a line, each with its line break. Asks the first engine for what it serves;
// what it does not answer is left out.
std::string ServiceSummary(const ServeOptions& options, const InternalPorts& ports);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_SERVICE_SUMMARY_H_
