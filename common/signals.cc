#include "common/signals.h"

#include <pthread.h>
#include <signal.h>

#include <cerrno>

namespace vallm {
namespace {

sigset_t TerminationSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

void BlockTerminationSignals() {
  const sigset_t set = TerminationSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void UnblockTerminationSignals() {
  const sigset_t set = TerminationSignals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

int WaitForTermination() {
  const sigset_t set = TerminationSignals();
  int signal_number = 0;
  while (sigwait(&set, &signal_number) != 0) {
  }
  return signal_number;
}

std::optional<int> WaitForTermination(absl::Duration timeout) {
  const sigset_t set = TerminationSignals();
  const timespec limit = absl::ToTimespec(timeout);
  const int signal_number = sigtimedwait(&set, nullptr, &limit);
  if (signal_number < 0) return std::nullopt;  // EAGAIN on time-out, EINTR by another signal
  return signal_number;
}

}  // namespace vallm
