#include "tools/eval/code/confinement.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

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

// Landlock's attributes as kernels take them today; headers of Debian 12 have the first member
// only.
struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;  // from version 4 (6.7)
  uint64_t scoped;              // from version 6 (6.12)
};
constexpr uint64_t kAllNetRights = 3;                // bind and connect TCP
constexpr uint64_t kScopeSocketsAndSignals = 1 | 2;  // abstract UNIX sockets, signals to outside

// What the kernel's version of Landlock can refuse, all of it. Everything beyond files is refused
// by the seccomp filter too.
RulesetAttributes AttributesOf(long version, size_t* size) {
  int rights = 13;                // execute to make_sym
  if (version >= 2) rights = 14;  // refer
  if (version >= 3) rights = 15;  // truncate
  if (version >= 5) rights = 16;  // ioctl of devices
  RulesetAttributes attributes = {.handled_access_fs = (uint64_t{1} << rights) - 1,
                                  .handled_access_net = version >= 4 ? kAllNetRights : 0,
                                  .scoped = version >= 6 ? kScopeSocketsAndSignals : 0};
  *size = sizeof(uint64_t) * (version >= 6 ? 3 : version >= 4 ? 2 : 1);
  return attributes;
}

// Calls that a program needs which computes, reads files and writes to its pipes. All others are
// refused: among them those that reach other processes (signals, also by a file's owner), the
// network, the mount table, limits and every change of a file.
constexpr int kAllowed[] = {
    // Files and pipes that are open, or that Landlock lets it open.
    SYS_read,
    SYS_readv,
    SYS_pread64,
    SYS_preadv,
    SYS_write,
    SYS_writev,
    SYS_close,
    SYS_close_range,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_lseek,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_ppoll,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_eventfd2,
    SYS_fadvise64,
    SYS_umask,
    // Memory.
    SYS_mmap,
    SYS_mprotect,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_membarrier,
    // Threads and signals within the process.
    SYS_futex,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_getpriority,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend,
    SYS_rt_sigpending,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_setitimer,
    SYS_getitimer,
    SYS_wait4,
    SYS_waitid,
    SYS_exit,
    SYS_exit_group,
    SYS_execve,  // Python, once; Landlock lets it execute nothing else
    // What it is and where, and the time.
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getpgid,
    SYS_getsid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_capget,
    SYS_uname,
    SYS_sysinfo,
    SYS_getcpu,
    SYS_getrandom,
    SYS_getrlimit,
    SYS_getrusage,
    SYS_times,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
#if defined(__x86_64__)
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_getdents,
    SYS_dup2,
    SYS_pipe,
    SYS_poll,
    SYS_select,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_eventfd,
    SYS_arch_prctl,
    SYS_getpgrp,
    SYS_alarm,
    SYS_pause,
    SYS_time,
#endif
};

constexpr uint32_t kFcntlCommands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,
                                       F_GETFL, F_SETFL,         F_GETPIPE_SZ};
constexpr uint32_t kIoctlRequests[] = {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX};
constexpr uint32_t kPrctlOptions[] = {PR_SET_NAME, PR_GET_NAME};

constexpr int kNewestKnown = 451;  // C libraries do without calls that are newer

class Program {
 public:
  std::vector<sock_filter> Build() {
    Load(offsetof(seccomp_data, arch));
    // x86's other system call tables have numbers of their own.
    JumpUnlessEqual(kArchitecture, SECCOMP_RET_KILL_PROCESS);
    Load(offsetof(seccomp_data, nr));
    for (const int number : kAllowed) ReturnIfEqual(number, SECCOMP_RET_ALLOW);
    // These take what they do by pointer: pretend that they do not exist, and C libraries use the
    // calls that can be looked at.
    ReturnIfEqual(SYS_clone3, Errno(ENOSYS));
    ReturnIfEqual(SYS_openat2, Errno(ENOSYS));
    // Threads, not processes.
    IfBits(SYS_clone, 0, CLONE_THREAD, /*refuse_if_set=*/false, EPERM);
    constexpr uint32_t kWriting = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
    IfBits(SYS_openat, 2, kWriting, /*refuse_if_set=*/true, EACCES);
#if defined(__x86_64__)
    IfBits(SYS_open, 1, kWriting, /*refuse_if_set=*/true, EACCES);
#endif
    IfOneOf(SYS_fcntl, 1, kFcntlCommands);
    IfOneOf(SYS_ioctl, 1, kIoctlRequests);
    IfOneOf(SYS_prctl, 0, kPrctlOptions);
    IfNull(SYS_prlimit64, 2);  // a new limit, of any process of this user
    Add(BPF_JMP | BPF_JGT | BPF_K, kNewestKnown, 0, 1);
    Add(BPF_RET | BPF_K, Errno(ENOSYS), 0, 0);
    Add(BPF_RET | BPF_K, Errno(EPERM), 0, 0);
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
  // The low half of an argument, both processors being little-endian.
  void LoadArgument(int argument) {
    Load(offsetof(seccomp_data, args) + 8 * static_cast<size_t>(argument));
  }
  void JumpUnlessEqual(uint32_t value, uint32_t otherwise) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    Add(BPF_RET | BPF_K, otherwise, 0, 0);
  }
  void ReturnIfEqual(int number, uint32_t result) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1);
    Add(BPF_RET | BPF_K, result, 0, 0);
  }
  // Allows call `number` depending on whether any of `bits` is set in an argument.
  void IfBits(int number, int argument, uint32_t bits, bool refuse_if_set, int error) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 4);
    LoadArgument(argument);
    Add(BPF_JMP | BPF_JSET | BPF_K, bits, refuse_if_set ? 0 : 1, refuse_if_set ? 1 : 0);
    Add(BPF_RET | BPF_K, Errno(error), 0, 0);
    Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
  }
  // Allows call `number` with these values of an argument that the kernel takes as 32 bits.
  void IfOneOf(int number, int argument, absl::Span<const uint32_t> values) {
    const int count = static_cast<int>(values.size());
    Add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 3 + count);
    LoadArgument(argument);
    for (int i = 0; i < count; ++i) Add(BPF_JMP | BPF_JEQ | BPF_K, values[i], count - i, 0);
    Add(BPF_RET | BPF_K, Errno(EPERM), 0, 0);
    Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
  }
  // Allows call `number` with a pointer that is null.
  void IfNull(int number, int argument) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 6);
    LoadArgument(argument);
    Add(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
    Load(offsetof(seccomp_data, args) + 8 * static_cast<size_t>(argument) + 4);
    Add(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    Add(BPF_RET | BPF_K, Errno(EPERM), 0, 0);
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
  const long version =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  size_t size = 0;
  const RulesetAttributes attributes = AttributesOf(version, &size);
  const long ruleset =
      version < 0 ? version : syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
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
