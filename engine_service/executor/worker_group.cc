#include "engine_service/executor/worker_group.h"

#include <glog/logging.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::engine {
namespace {

// How long workers have to leave by themselves, so that their logs are complete.
constexpr absl::Duration kLeaveTime = absl::Milliseconds(500);

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerGroup>> WorkerGroup::Start(const WorkerGroupOptions& options) {
  CHECK_EQ(options.worker_args.size(), static_cast<size_t>(options.shape.ranks));
  VALLM_ASSIGN_OR_RETURN(auto memory, GroupMemory::Create(options.shape, options.spin_limits));
  auto group = std::unique_ptr<WorkerGroup>(new WorkerGroup(options, std::move(memory)));
  VALLM_RETURN_IF_ERROR(group->StartWorkers(options));
  return group;
}

WorkerGroup::WorkerGroup(const WorkerGroupOptions& options, std::unique_ptr<GroupMemory> memory)
    : step_timeout_(options.step_timeout),
      on_death_(options.on_death),
      memory_(std::move(memory)),
      writer_(*memory_) {}

absl::Status WorkerGroup::StartWorkers(const WorkerGroupOptions& options) {
  for (size_t rank = 0; rank < options.worker_args.size(); ++rank) {
    std::vector<std::string> args = options.worker_args[rank];
    args.push_back(absl::StrCat("--group-fd=", kInheritedFd));
    args.push_back(absl::StrCat("--rank=", rank));
    args.push_back(absl::StrCat("--parent-pid=", getpid()));
    VALLM_ASSIGN_OR_RETURN(auto worker,
                           WorkerProcess::Start(options.worker_binary, args, memory_->fd()));
    workers_.push_back(std::move(worker));
  }
  wake_watcher_fd_ = eventfd(0, EFD_CLOEXEC);
  if (wake_watcher_fd_ < 0) {
    return absl::ResourceExhaustedError(absl::StrCat("eventfd: ", strerror(errno)));
  }
  watcher_ = std::thread([this] { Watch(); });
  return absl::OkStatus();
}

WorkerGroup::~WorkerGroup() {
  Stop(absl::UnavailableError("the worker group was stopped"));
  if (watcher_.joinable()) {
    const uint64_t one = 1;
    PCHECK(write(wake_watcher_fd_, &one, sizeof(one)) == sizeof(one));
    watcher_.join();
  }
  if (wake_watcher_fd_ >= 0) close(wake_watcher_fd_);
  const absl::Time leave_by = absl::Now() + kLeaveTime;
  for (const auto& worker : workers_) worker->WaitForExit(leave_by - absl::Now());
}

void WorkerGroup::Watch() {
  std::vector<pollfd> entries;
  for (const auto& worker : workers_) {
    entries.push_back({.fd = worker->pidfd(), .events = POLLIN, .revents = 0});
  }
  entries.push_back({.fd = wake_watcher_fd_, .events = POLLIN, .revents = 0});
  while (poll(entries.data(), entries.size(), /*timeout=*/-1) < 0) {
    PCHECK(errno == EINTR) << "poll";
  }
  for (size_t rank = 0; rank < workers_.size(); ++rank) {
    if (entries[rank].revents == 0) continue;
    if (!reason().ok()) return;  // it leaves because the group was stopped
    Stop(DescribeDeath(rank));
    if (on_death_) on_death_();
    return;
  }
}

std::string WorkerGroup::WhereItWas(const RankArea& area) const {
  if (area.phase.value() < static_cast<uint32_t>(WorkerPhase::kReady)) return " while loading";
  const uint32_t finished = area.finished.value();
  const bool running = memory_->published().value() != finished;
  if (running) return absl::StrCat(" in step ", finished + 1);
  return finished == 0 ? " before its first step" : absl::StrCat(" after step ", finished);
}

absl::Status WorkerGroup::DescribeDeath(size_t rank) const {
  const RankArea& area = memory_->rank(static_cast<int32_t>(rank));
  if (area.phase.value() == static_cast<uint32_t>(WorkerPhase::kFailed)) {
    const absl::Status error = area.error();
    return {error.code(), absl::StrCat("worker of rank ", rank, ": ", error.message())};
  }
  return absl::UnavailableError(absl::StrCat("worker of rank ", rank, " (process ",
                                             workers_[rank]->pid(), ") ",
                                             workers_[rank]->HowItEnded(), WhereItWas(area)));
}

void WorkerGroup::Stop(const absl::Status& reason) {
  {
    MutexLock lock(mu_);
    if (reason_.ok()) reason_ = reason;
  }
  memory_->Abort();
}

absl::Status WorkerGroup::reason() const {
  MutexLock lock(mu_);
  return reason_;
}

absl::Status WorkerGroup::WaitReady() {
  for (int32_t rank = 0; rank < memory_->shape().ranks; ++rank) {
    SharedCounter& phase = memory_->rank(rank).phase;
    Spinner spinner;
    phase.WaitFor(static_cast<uint32_t>(WorkerPhase::kReady), memory_->aborted(), spinner);
    if (phase.value() == static_cast<uint32_t>(WorkerPhase::kFailed)) {
      Stop(DescribeDeath(static_cast<size_t>(rank)));
    }
    VALLM_RETURN_IF_ERROR(reason());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::span<const float>> WorkerGroup::RunStep(const Step& step) {
  writer_.Publish(step);
  auto logits = writer_.Wait(absl::Now() + step_timeout_);
  if (logits.ok()) return logits;
  if (absl::IsDeadlineExceeded(logits.status())) {
    Stop(absl::UnavailableError(
        absl::StrCat(logits.status().message(), " within ", absl::FormatDuration(step_timeout_))));
  }
  const absl::Status why = reason();
  // Whatever a worker said went wrong, the caller can only try again elsewhere or later.
  return absl::UnavailableError(why.message());
}

LoadingProgress WorkerGroup::progress() const {
  LoadingProgress sum;
  for (int32_t rank = 0; rank < memory_->shape().ranks; ++rank) {
    const RankArea& area = memory_->rank(rank);
    const int64_t total = area.load_total_bytes.load(std::memory_order_relaxed);
    if (total == 0) return {};
    sum.done_bytes += area.load_done_bytes.load(std::memory_order_relaxed);
    sum.total_bytes += total;
  }
  return sum;
}

LoadDurations WorkerGroup::load_durations() const {
  LoadDurations longest;
  const auto raise = [](absl::Duration& to, const std::atomic<int64_t>& us) {
    to = std::max(to, absl::Microseconds(us.load(std::memory_order_relaxed)));
  };
  for (int32_t rank = 0; rank < memory_->shape().ranks; ++rank) {
    const RankArea& area = memory_->rank(rank);
    raise(longest.open, area.open_us);
    raise(longest.weights, area.weights_us);
    raise(longest.kv_cache, area.kv_cache_us);
  }
  return longest;
}

std::vector<pid_t> WorkerGroup::pids() const {
  std::vector<pid_t> pids;
  for (const auto& worker : workers_) pids.push_back(worker->pid());
  return pids;
}

}  // namespace vallm::engine
