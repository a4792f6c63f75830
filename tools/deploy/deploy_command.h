// `vallm deploy`: checks everything, then brings a deployment to what its flags say, from nothing
// or from what runs.
#ifndef VALLM_TOOLS_DEPLOY_DEPLOY_COMMAND_H_
#define VALLM_TOOLS_DEPLOY_DEPLOY_COMMAND_H_

namespace vallm::tools {

// Returns the exit code: 0 when every instance serves, 1 when something failed, 2 after a usage
// error, 130 after Ctrl-C (what was begun goes on). Call from the main thread.
int RunDeploy(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_DEPLOY_COMMAND_H_
