// Where the commands keep their logs unless they are told.
#ifndef VALLM_TOOLS_STATE_DIR_H_
#define VALLM_TOOLS_STATE_DIR_H_

#include <string>

namespace vallm::tools {

// $XDG_STATE_HOME/vallm/`leaf`, else ~/.local/state/vallm/`leaf`, else vallm-logs/`leaf` in the
// current directory. Not created.
std::string StateDir(const std::string& leaf);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_STATE_DIR_H_
