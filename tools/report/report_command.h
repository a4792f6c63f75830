// `vallm report`: a page of the results of bench and eval.
#ifndef VALLM_TOOLS_REPORT_REPORT_COMMAND_H_
#define VALLM_TOOLS_REPORT_REPORT_COMMAND_H_

namespace vallm::tools {

// Returns the exit code (tools/command.h).
int RunReport(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_REPORT_REPORT_COMMAND_H_
