// A log file that is put aside when it has grown: `path`, then `path`.1 (the newest of the old) up
// to `path`.`keep`. Not thread-safe; there is one writer.
#ifndef VALLM_TOOLS_DEPLOY_ROTATING_FILE_H_
#define VALLM_TOOLS_DEPLOY_ROTATING_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace vallm::tools {

class RotatingFile {
 public:
  // REQUIRES: max_bytes >= 1, keep >= 0. Opens nothing yet.
  RotatingFile(std::string path, int64_t max_bytes, int keep);
  ~RotatingFile();
  RotatingFile(RotatingFile&& other) noexcept;
  RotatingFile(const RotatingFile&) = delete;
  RotatingFile& operator=(const RotatingFile&) = delete;
  RotatingFile& operator=(RotatingFile&&) = delete;

  // Appends. A file that has reached max_bytes is put aside at the end of a line, so that no line
  // is cut; only a line longer than max_bytes is.
  // Errors: INTERNAL when the file cannot be opened or written; the bytes are lost then.
  absl::Status Write(std::string_view bytes);

 private:
  absl::Status Open();
  absl::Status Append(std::string_view bytes);
  void Rotate();

  const std::string path_;
  const int64_t max_bytes_;
  const int keep_;
  int fd_ = -1;
  int64_t size_ = 0;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_ROTATING_FILE_H_
