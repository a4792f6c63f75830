#include "tools/state_dir.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace vallm::tools {
namespace {

// `base` when it is an absolute path, with `tail`; else "".
std::string Candidate(const char* base, const std::string& tail) {
  if (base == nullptr || base[0] != '/') return "";
  return base + tail;
}

bool MakeWritable(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  return !error && access(directory.c_str(), W_OK) == 0;
}

}  // namespace

std::string MakeStateDir(const std::string& leaf) {
  const std::string temporary = "/vallm-" + std::to_string(getuid()) + "/" + leaf;
  for (const std::string& directory :
       {Candidate(std::getenv("XDG_STATE_HOME"), "/vallm/" + leaf),
        Candidate(std::getenv("HOME"), "/.local/state/vallm/" + leaf),
        Candidate(std::getenv("TMPDIR"), temporary), Candidate("/tmp", temporary)}) {
    if (!directory.empty() && MakeWritable(directory)) return directory;
  }
  return "";
}

}  // namespace vallm::tools
