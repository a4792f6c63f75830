// `vallm doctor`: what is wrong with a machine, a model, or a server, and what to do about it.
#ifndef VALLM_TOOLS_DOCTOR_DOCTOR_COMMAND_H_
#define VALLM_TOOLS_DOCTOR_DOCTOR_COMMAND_H_

namespace vallm::tools {

// Returns the exit code: 0 when nothing failed, 1 when something did, 2 after a usage error.
int RunDoctor(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DOCTOR_DOCTOR_COMMAND_H_
