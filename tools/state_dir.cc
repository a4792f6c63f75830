#include "tools/state_dir.h"

#include <cstdlib>

namespace vallm::tools {

std::string StateDir(const std::string& leaf) {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && state[0] == '/') return std::string(state) + "/vallm/" + leaf;
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') {
    return std::string(home) + "/.local/state/vallm/" + leaf;
  }
  return "vallm-logs/" + leaf;
}

}  // namespace vallm::tools
