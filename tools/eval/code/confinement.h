// What keeps a child process from doing harm, set up in the parent and entered in the child between
// fork and exec: Landlock lets it read the folders that its program needs and execute that program
// only, and keeps its signals inside where the kernel can; a seccomp filter allows what reading,
// computing and threads take and nothing else; capabilities and the right to gain new ones are
// dropped. File names and sizes stay visible: Landlock does not hide them. Linux only.
#ifndef VALLM_TOOLS_EVAL_CODE_CONFINEMENT_H_
#define VALLM_TOOLS_EVAL_CODE_CONFINEMENT_H_

#include <linux/filter.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vallm::eval {

class Confinement {
 public:
  // `readable` are files and folders, `executable` files; those that do not exist are left out.
  // Errors: FAILED_PRECONDITION when this kernel has no Landlock (before 5.13, or switched off).
  static absl::StatusOr<Confinement> Create(const std::vector<std::string>& readable,
                                            const std::vector<std::string>& executable);
  // Without Landlock: the child can read what this user can.
  static Confinement WithoutFileRules();

  ~Confinement();
  Confinement(Confinement&& other) noexcept;
  Confinement& operator=(Confinement&&) = delete;

  // In the child: from here on only exec is left to do. Async-signal-safe. Returns false with errno
  // set when the kernel refuses.
  bool Enter() const;

 private:
  explicit Confinement(int ruleset);

  int ruleset_ = -1;  // Landlock's file descriptor
  std::vector<sock_filter> filter_;
};

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_CODE_CONFINEMENT_H_
