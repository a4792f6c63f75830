// The command lines of the services that `vallm serve` starts: the one place where its flags become
// theirs.
#ifndef VALLM_TOOLS_SERVE_CHILD_COMMANDS_H_
#define VALLM_TOOLS_SERVE_CHILD_COMMANDS_H_

#include <string>
#include <vector>

#include "tools/serve/options.h"
#include "tools/serve/preflight.h"
#include "tools/serve/supervisor.h"

namespace vallm::tools {

// The tokenizer, the engines and the gateway, in this order; they stop in the opposite one.
// `environment` ("NAME=value") is what they inherit: see ChildEnvironment. Keys go to the gateway
// through its environment, because command lines can be read by every user. On device vacc each
// engine sees dies of its own: the next tensor_parallel_size of VACC_VISIBLE_DEVICES.
std::vector<SupervisedChild> ServiceChildren(const ServeOptions& options,
                                             const ServiceBinaries& binaries,
                                             const InternalPorts& ports,
                                             const std::vector<std::string>& environment);

// The environment of this process without the variables that set flags of `vallm serve`: a service
// would take them for its own. `flag_variables` are their names.
std::vector<std::string> ChildEnvironment(const std::vector<std::string>& flag_variables);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_CHILD_COMMANDS_H_
