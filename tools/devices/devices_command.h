// `vallm devices`: what this machine has to run models on.
#ifndef VALLM_TOOLS_DEVICES_DEVICES_COMMAND_H_
#define VALLM_TOOLS_DEVICES_DEVICES_COMMAND_H_

namespace vallm::tools {

// A main of its own. Returns 0, also where there are no dies; 1 when a plug-in that is there or
// that VALLM_VACC_PLUGIN names cannot be used or VACC_VISIBLE_DEVICES is wrong; 2 after a usage
// error.
int RunDevices(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEVICES_DEVICES_COMMAND_H_
