#include "tools/bench/interrupt.h"

#include <signal.h>
#include <unistd.h>

namespace vallm::tools {
namespace {

std::atomic<bool> g_interrupted = false;

void OnInterrupt(int) {
  if (g_interrupted.exchange(true)) _exit(130);
}

}  // namespace

const std::atomic<bool>& CatchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = OnInterrupt;  // without SA_RESTART: waiting ends as well
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return g_interrupted;
}

}  // namespace vallm::tools
