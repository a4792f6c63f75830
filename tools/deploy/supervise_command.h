// `vallm supervise [NAME]`: the supervisor of a deployment of runtime host, in the foreground.
// `vallm deploy` starts it in the background; an init system may do so instead.
#ifndef VALLM_TOOLS_DEPLOY_SUPERVISE_COMMAND_H_
#define VALLM_TOOLS_DEPLOY_SUPERVISE_COMMAND_H_

namespace vallm::tools {

// Runs until SIGINT, SIGTERM or `vallm stop`. Returns the exit code; when it returns no process of
// the deployment is left. Call from the main thread.
int RunSupervise(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_SUPERVISE_COMMAND_H_
