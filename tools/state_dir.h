// Where the commands keep their logs unless they are told.
#ifndef VALLM_TOOLS_STATE_DIR_H_
#define VALLM_TOOLS_STATE_DIR_H_

#include <string>

namespace vallm::tools {

// Makes and returns the first of these directories that can be written: vallm/`leaf` in
// $XDG_STATE_HOME, in ~/.local/state, vallm-`uid`/`leaf` in $TMPDIR or /tmp. Empty when there is
// none.
std::string MakeStateDir(const std::string& leaf);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_STATE_DIR_H_
