// A worker process without a model, for worker_group_test: --behaviour says what it does.
//
//   echo         loads, then answers every step with the step's number plus its rank
//   fail-load    fails to load with NOT_FOUND
//   exit-load    exits with status 3 while loading
//   hang-load    never gets ready
//   die-at=N     kills itself in step N
//   fail-at=N    fails step N with INTERNAL
//   hang-at=N    never finishes step N
//   bind-and-pause  binds itself to its parent, writes a byte to descriptor 3 and waits
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>

#include "engine_service/executor/step_ring.h"
#include "engine_service/executor/worker_process.h"

namespace vallm::engine {
namespace {

void Set(SharedCounter& phase, WorkerPhase value) { phase.Set(static_cast<uint32_t>(value)); }

[[noreturn]] void HangForever() {
  while (true) pause();
}

int Run(std::map<std::string, std::string>& flags) {
  if (!BindToParent(std::stoi(flags["parent-pid"])).ok()) return 4;
  if (flags["behaviour"] == "bind-and-pause") {
    if (write(kInheritedFd, "r", 1) == 1) HangForever();
    return 5;
  }
  const int32_t rank = std::stoi(flags["rank"]);
  const auto memory = GroupMemory::Attach(std::stoi(flags["group-fd"])).value();
  RankArea& area = memory->rank(rank);
  const std::string behaviour = flags["behaviour"];
  const auto at = [&](const std::string& name, int step) {
    return behaviour == name + "-at=" + std::to_string(step);
  };

  Set(area.phase, WorkerPhase::kLoading);
  area.load_total_bytes = 100;
  area.load_done_bytes = 40;
  if (behaviour == "exit-load") return 3;
  if (behaviour == "hang-load") HangForever();
  if (behaviour == "fail-load") {
    area.SetError(absl::NotFoundError("no tensor"));
    Set(area.phase, WorkerPhase::kFailed);
    return 1;
  }
  area.load_done_bytes = 100;
  area.open_us = 10 + rank;
  area.weights_us = 1000 - rank;
  area.kv_cache_us = 7;
  Set(area.phase, WorkerPhase::kReady);

  StepReader reader(*memory, rank);
  for (int step = 1;; ++step) {
    if (!reader.Next().ok()) return 0;
    if (at("die", step)) kill(getpid(), SIGKILL);
    if (at("hang", step)) HangForever();
    if (at("fail", step)) {
      area.SetError(absl::InternalError("broken"));
      Set(area.phase, WorkerPhase::kFailed);
      return 1;
    }
    reader.logits()[rank] = static_cast<float>(step + rank);
    reader.Finish();
  }
}

}  // namespace
}  // namespace vallm::engine

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const size_t equals = arg.find('=');
    flags[arg.substr(2, equals - 2)] = arg.substr(equals + 1);
  }
  return vallm::engine::Run(flags);
}
