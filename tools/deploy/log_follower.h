// Reads a log file as it grows, also across the rotation of rotating_file.h. Not thread-safe.
#ifndef VALLM_TOOLS_DEPLOY_LOG_FOLLOWER_H_
#define VALLM_TOOLS_DEPLOY_LOG_FOLLOWER_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

namespace vallm::tools {

class LogFollower {
 public:
  // Begins `lines` lines before the end of the file (-1: at its beginning). It need not exist yet.
  LogFollower(std::string path, int lines);
  ~LogFollower();
  LogFollower(LogFollower&& other) noexcept;
  LogFollower(const LogFollower&) = delete;
  LogFollower& operator=(const LogFollower&) = delete;
  LogFollower& operator=(LogFollower&&) = delete;

  // Hands over the lines that have been completed since, without their ends.
  void Read(const std::function<void(std::string_view)>& line);

 private:
  bool Open();
  void ReadRest(const std::function<void(std::string_view)>& line);

  const std::string path_;
  int lines_;  // of the first file, before its end
  int fd_ = -1;
  ino_t inode_ = 0;
  std::string partial_;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_LOG_FOLLOWER_H_
