// `vallm device-conformance`: tells a vendor whether a plug-in keeps what vallm_device_abi.h asks.
#ifndef VALLM_TOOLS_DEVICES_CONFORMANCE_COMMAND_H_
#define VALLM_TOOLS_DEVICES_CONFORMANCE_COMMAND_H_

namespace vallm::tools {

// A main of its own. Returns 0 when all checks passed or were skipped, 1 when one failed or the
// plug-in cannot be used, 2 after a usage error.
int RunDeviceConformance(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEVICES_CONFORMANCE_COMMAND_H_
