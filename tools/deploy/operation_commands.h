// The commands that look after deployments: `vallm status`, `vallm logs`, `vallm stop` and
// `vallm restart`. Each is about the deployment that it names, or the only one there is.
#ifndef VALLM_TOOLS_DEPLOY_OPERATION_COMMANDS_H_
#define VALLM_TOOLS_DEPLOY_OPERATION_COMMANDS_H_

namespace vallm::tools {

// These return exit codes (tools/command.h). Status: 0 when everything serves, 3 when something
// does not.
int RunStatus(int argc, char** argv);
int RunLogs(int argc, char** argv);
int RunStop(int argc, char** argv);
int RunRestart(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_OPERATION_COMMANDS_H_
