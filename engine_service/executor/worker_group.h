// The worker processes of one instance, one per rank: started together, and given up together as
// soon as one of them dies, fails or hangs.
//
// A group never recovers: its owner destroys it and starts another. One thread calls Start,
// WaitReady and RunStep and lives as long as the group (the workers die with it); Stop and the
// accessors may be called from any thread.
#ifndef VALLM_ENGINE_SERVICE_EXECUTOR_WORKER_GROUP_H_
#define VALLM_ENGINE_SERVICE_EXECUTOR_WORKER_GROUP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "engine_service/executor/group_memory.h"
#include "engine_service/executor/step_ring.h"
#include "engine_service/executor/worker_process.h"

namespace vallm::engine {

struct WorkerGroupOptions {
  std::string worker_binary;
  // Per rank; --group-fd, --rank and --parent-pid are added.
  std::vector<std::vector<std::string>> worker_args;
  GroupShape shape;  // shape.ranks == worker_args.size()
  SpinLimits spin_limits;
  absl::Duration step_timeout = absl::Seconds(60);
  // Called once, from a thread of the group, when a worker dies; not when the group is stopped. May
  // call Stop and the accessors, nothing else. May be null.
  std::function<void()> on_death;
};

// Of all ranks together.
struct LoadingProgress {
  int64_t done_bytes = 0;
  int64_t total_bytes = 0;  // 0 until every rank knows

  bool operator==(const LoadingProgress&) const = default;
};

// How long the parts of loading took, each on the rank that took longest.
struct LoadDurations {
  absl::Duration open;      // configuration and headers of the checkpoint
  absl::Duration weights;   // reading, unpacking and packing them onto the device
  absl::Duration kv_cache;  // allocating it
};

class WorkerGroup {
 public:
  // Starts the processes and returns at once. Errors: those of WorkerProcess and GroupMemory.
  static absl::StatusOr<std::unique_ptr<WorkerGroup>> Start(const WorkerGroupOptions& options);
  // Stops the workers: those that do not leave within half a second are killed. All are reaped.
  ~WorkerGroup();
  WorkerGroup(const WorkerGroup&) = delete;
  WorkerGroup& operator=(const WorkerGroup&) = delete;

  // Waits until every rank takes steps. Errors: what the first worker failed with (its own code),
  // UNAVAILABLE (a worker died), or the argument of Stop.
  absl::Status WaitReady();

  // Runs one step on all ranks. The logits, [LogitRows(step), vocab_size], are valid until the
  // next call but one. Errors: UNAVAILABLE (a worker died, failed or exceeded step_timeout, or Stop
  // was called); the group is of no use from then on.
  absl::StatusOr<std::span<const float>> RunStep(const Step& step);

  // Gives the group up for `reason`. Where something gave it up before, the first reason stays.
  void Stop(const absl::Status& reason);

  LoadingProgress progress() const;
  // Complete once WaitReady has returned OK.
  LoadDurations load_durations() const;
  std::vector<pid_t> pids() const;

 private:
  WorkerGroup(const WorkerGroupOptions& options, std::unique_ptr<GroupMemory> memory);
  absl::Status StartWorkers(const WorkerGroupOptions& options);
  // Thread: waits for the first death.
  void Watch();
  absl::Status DescribeDeath(size_t rank) const;
  // " in step 7" and the like: what a rank was about, by its counters.
  std::string WhereItWas(const RankArea& area) const;
  absl::Status reason() const;

  const absl::Duration step_timeout_;
  const std::function<void()> on_death_;
  const std::unique_ptr<GroupMemory> memory_;
  StepWriter writer_;
  std::vector<std::unique_ptr<WorkerProcess>> workers_;  // [ranks]
  int wake_watcher_fd_ = -1;                             // eventfd
  std::thread watcher_;

  mutable Mutex mu_;
  absl::Status reason_ ABSL_GUARDED_BY(mu_);  // OK while the group is good
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_EXECUTOR_WORKER_GROUP_H_
