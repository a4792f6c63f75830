// Notices when files change: keys and certificates that are replaced while the process runs.
//
// Looks at the files (through symbolic links, which is how Kubernetes replaces a mounted Secret)
// every `interval` from a thread of its own. Thread-safe.
#ifndef VALLM_COMMON_FILE_WATCHER_H_
#define VALLM_COMMON_FILE_WATCHER_H_

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"

namespace vallm {

// The whole file. Errors: NOT_FOUND or FAILED_PRECONDITION, with `what` (a flag) and the path.
absl::StatusOr<std::string> ReadFile(const std::string& what, const std::string& path);

class FileWatcher {
 public:
  // Calls `changed` from its thread whenever any of `paths` is another file, or a file of another
  // size or time, than it was at construction or at the call before.
  FileWatcher(std::vector<std::string> paths, absl::Duration interval,
              std::function<void()> changed);
  // Waits for a call under way.
  ~FileWatcher();
  FileWatcher(const FileWatcher&) = delete;
  FileWatcher& operator=(const FileWatcher&) = delete;

 private:
  void Watch(std::string seen);

  const std::vector<std::string> paths_;
  const absl::Duration interval_;
  const std::function<void()> changed_;
  Mutex mu_;
  CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace vallm

#endif  // VALLM_COMMON_FILE_WATCHER_H_
