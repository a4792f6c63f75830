// Carries what processes print to files that rotate. Each file is fed through a pipe, so that a
// process that runs for months never holds a file that was put aside.
//
// Owns a thread. Thread-safe.
#ifndef VALLM_TOOLS_DEPLOY_LOG_ROUTER_H_
#define VALLM_TOOLS_DEPLOY_LOG_ROUTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "tools/deploy/rotating_file.h"

namespace vallm::tools {

class LogRouter {
 public:
  // Limits of every file: RotatingFile's.
  static absl::StatusOr<std::unique_ptr<LogRouter>> Create(int64_t max_bytes, int keep);

  // Carries what is still in the pipes, then ends the thread. Writers should be gone by then: what
  // they write later is lost.
  ~LogRouter();
  LogRouter(const LogRouter&) = delete;
  LogRouter& operator=(const LogRouter&) = delete;

  // A descriptor (close-on-exec) whose bytes go to the file `path`; it stays this object's and is
  // the same for the same path. Errors: RESOURCE_EXHAUSTED.
  absl::StatusOr<int> Output(const std::string& path);

 private:
  struct Route {
    std::string path;
    int read_fd;
    int write_fd;
    RotatingFile file;
  };

  LogRouter(int wake_fd, int64_t max_bytes, int keep);
  void Run();

  const int wake_fd_;  // an eventfd: routes were added, or it is time to stop
  const int64_t max_bytes_;
  const int keep_;
  Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<Route>> routes_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_LOG_ROUTER_H_
