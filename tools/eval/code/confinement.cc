#include "tools/eval/code/confinement.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace vallm::eval {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "no seccomp filter for this processor"
#endif

constexpr uint64_t kReadRights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
// All of Landlock's first version: what the rules do not grant is refused.
constexpr uint64_t kHandledRights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

// Calls that a program which reads, computes and writes to its pipes has no use for.
constexpr int kRefused[] = {
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept4,
    SYS_sendto,
    SYS_sendmsg,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kill,
    SYS_tkill,
    SYS_unlinkat,
    SYS_renameat2,
    SYS_mkdirat,
    SYS_linkat,
    SYS_symlinkat,
    SYS_mknodat,
    SYS_fchmodat,
    SYS_fchmod,
    SYS_fchown,
    SYS_fchownat,
    SYS_truncate,
    SYS_ftruncate,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_unshare,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_io_uring_setup,
    SYS_userfaultfd,
    SYS_pidfd_open,
    SYS_shmget,
    SYS_msgget,
    SYS_semget,
    SYS_mq_open,
    SYS_setrlimit,
    SYS_setpriority,
    SYS_sched_setaffinity,
    SYS_utimensat,
    SYS_setxattr,
    SYS_quotactl,
    SYS_reboot,
    SYS_swapon,
    SYS_init_module,
    SYS_personality,
    SYS_setuid,
    SYS_setgid,
    SYS_setsid,
#if defined(__x86_64__)
    SYS_fork,
    SYS_vfork,
    SYS_unlink,
    SYS_rename,
    SYS_renameat,
    SYS_mkdir,
    SYS_rmdir,
    SYS_link,
    SYS_symlink,
    SYS_mknod,
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_creat,
    SYS_accept,
    SYS_utime,
    SYS_utimes,
#endif
};

class Program {
 public:
  std::vector<sock_filter> Build() {
    Load(offsetof(seccomp_data, arch));
    // x86's other system call tables have numbers of their own.
    JumpUnlessEqual(kArchitecture, SECCOMP_RET_KILL_PROCESS);
    Load(offsetof(seccomp_data, nr));
    for (const int number : kRefused) ReturnIfEqual(number, Errno(EPERM));
    // These take what they do by pointer: pretend that they do not exist, and C libraries use the
    // calls that can be looked at.
    ReturnIfEqual(SYS_clone3, Errno(ENOSYS));
    ReturnIfEqual(SYS_openat2, Errno(ENOSYS));
    // Threads, not processes.
    IfCall(SYS_clone, 0, CLONE_THREAD, /*refuse_if_set=*/false, EPERM);
    constexpr uint32_t kWriting = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
    IfCall(SYS_openat, 2, kWriting, /*refuse_if_set=*/true, EACCES);
#if defined(__x86_64__)
    IfCall(SYS_open, 1, kWriting, /*refuse_if_set=*/true, EACCES);
#endif
    IfCall(SYS_prlimit64, 2, 0xFFFFFFFF, /*refuse_if_set=*/true, EPERM);  // a new limit
    Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    return std::move(code_);
  }

 private:
  static uint32_t Errno(int error) {
    return SECCOMP_RET_ERRNO | (static_cast<uint32_t>(error) & SECCOMP_RET_DATA);
  }
  void Add(int code, uint32_t value, int if_true, int if_false) {
    code_.push_back({.code = static_cast<uint16_t>(code),
                     .jt = static_cast<uint8_t>(if_true),
                     .jf = static_cast<uint8_t>(if_false),
                     .k = value});
  }
  void Load(size_t offset) { Add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset), 0, 0); }
  void JumpUnlessEqual(uint32_t value, uint32_t otherwise) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    Add(BPF_RET | BPF_K, otherwise, 0, 0);
  }
  void ReturnIfEqual(int number, uint32_t result) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1);
    Add(BPF_RET | BPF_K, result, 0, 0);
  }
  // Refuses call `number` depending on whether any of `bits` is set in the low half of an argument.
  void IfCall(int number, int argument, uint32_t bits, bool refuse_if_set, int error) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 4);
    Load(offsetof(seccomp_data, args) + 8 * static_cast<size_t>(argument));
    Add(BPF_JMP | BPF_JSET | BPF_K, bits, refuse_if_set ? 0 : 1, refuse_if_set ? 1 : 0);
    Add(BPF_RET | BPF_K, Errno(error), 0, 0);
    Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
  }

  std::vector<sock_filter> code_;
};

// Grants `rights` to what lies at and below `path`; nothing when there is no such path.
absl::Status Grant(int ruleset, const std::string& path, uint64_t rights, bool is_file) {
  const int fd = open(path.c_str(), O_PATH | O_CLOEXEC);
  if (fd < 0) return absl::OkStatus();
  const landlock_path_beneath_attr rule = {
      .allowed_access = is_file ? rights & ~uint64_t{LANDLOCK_ACCESS_FS_READ_DIR} : rights,
      .parent_fd = fd};
  const long result = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  const int error = errno;
  close(fd);
  // A right for folders on a file is refused: once more without it.
  if (result != 0 && error == EINVAL && !is_file) return Grant(ruleset, path, rights, true);
  return result == 0 ? absl::OkStatus()
                     : absl::InternalError(absl::StrCat("landlock: ", path, ": ", strerror(error)));
}

bool DropCapabilities() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct none[2] = {};
  return syscall(SYS_capset, &header, none) == 0;
}

}  // namespace

Confinement::Confinement(int ruleset) : ruleset_(ruleset), filter_(Program().Build()) {}

Confinement::Confinement(Confinement&& other) noexcept
    : ruleset_(std::exchange(other.ruleset_, -1)), filter_(std::move(other.filter_)) {}

Confinement::~Confinement() {
  if (ruleset_ >= 0) close(ruleset_);
}

absl::StatusOr<Confinement> Confinement::Create(const std::vector<std::string>& readable,
                                                const std::vector<std::string>& executable) {
  const landlock_ruleset_attr attributes = {.handled_access_fs = kHandledRights};
  const long ruleset = syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
  if (ruleset < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("this kernel has no Landlock (", strerror(errno),
                     "), so that programs could read this user's files"));
  }
  // Away from the descriptors that the child puts in place before it enters.
  const int high = fcntl(static_cast<int>(ruleset), F_DUPFD_CLOEXEC, 20);
  close(static_cast<int>(ruleset));
  if (high < 0) return absl::InternalError(absl::StrCat("landlock: ", strerror(errno)));
  Confinement confinement(high);
  for (const std::string& path : readable) {
    if (auto status = Grant(confinement.ruleset_, path, kReadRights, false); !status.ok()) {
      return status;
    }
  }
  for (const std::string& path : executable) {
    const uint64_t rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE;
    if (auto status = Grant(confinement.ruleset_, path, rights, true); !status.ok()) return status;
  }
  return confinement;
}

Confinement Confinement::WithoutFileRules() { return Confinement(-1); }

bool Confinement::Enter() const {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !DropCapabilities()) return false;
  if (ruleset_ >= 0 && syscall(SYS_landlock_restrict_self, ruleset_, 0) != 0) return false;
  const sock_fprog program = {.len = static_cast<unsigned short>(filter_.size()),
                              .filter = const_cast<sock_filter*>(filter_.data())};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

}  // namespace vallm::eval
