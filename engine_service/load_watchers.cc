#include "engine_service/load_watchers.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "engine_service/convert.h"

namespace vallm::engine {
namespace {

constexpr absl::Duration kLeastInterval = absl::Milliseconds(10);

absl::Duration IntervalOf(const v1::WatchLoadRequest& request) {
  const auto& interval = request.min_interval();
  return std::max(absl::Seconds(interval.seconds()) + absl::Nanoseconds(interval.nanos()),
                  kLeastInterval);
}

}  // namespace

class LoadWatchers::Watcher final : public StreamWriter<v1::Load> {
 public:
  Watcher(LoadWatchers& owner, absl::Duration interval) : owner_(owner), interval_(interval) {}

  // Time until `load` may be sent; zero when it just was, or need not be.
  absl::Duration Offer(const EngineLoad& load, absl::Time now) {
    if (last_.has_value() && *last_ == load) return absl::InfiniteDuration();
    if (now < due_) return due_ - now;
    last_ = load;
    due_ = now + interval_;
    Send(ToProto(load));
    return absl::InfiniteDuration();
  }

 private:
  void Merge(v1::Load& parked, v1::Load next) override { parked = std::move(next); }
  void OnEnd() override {
    MutexLock lock(owner_.mu_);
    owner_.watchers_.erase(this);
    owner_.wake_.NotifyAll();
  }

  LoadWatchers& owner_;
  const absl::Duration interval_;
  std::optional<EngineLoad> last_;
  absl::Time due_ = absl::InfinitePast();
};

LoadWatchers::LoadWatchers(Engine& engine, std::function<void(const EngineLoad&)> on_load)
    : engine_(engine), on_load_(std::move(on_load)), thread_([this] { Run(); }) {
  engine_.SetLoadListener([this] {
    MutexLock lock(mu_);
    dirty_ = true;
    wake_.NotifyAll();
  });
}

LoadWatchers::~LoadWatchers() {
  Stop();
  MutexLock lock(mu_);
  while (!watchers_.empty()) wake_.Wait(mu_);
}

grpc::ServerWriteReactor<v1::Load>* LoadWatchers::Watch(const v1::WatchLoadRequest& request) {
  auto* watcher = new Watcher(*this, IntervalOf(request));
  MutexLock lock(mu_);
  watchers_.insert(watcher);
  if (stopping_) {
    watcher->Finish({grpc::StatusCode::UNAVAILABLE, "the engine is stopping"});
  } else {
    dirty_ = true;
    wake_.NotifyAll();
  }
  return watcher;
}

absl::Duration LoadWatchers::SendLocked(const EngineLoad& load, absl::Time now) {
  absl::Duration next = absl::InfiniteDuration();
  for (Watcher* watcher : watchers_) next = std::min(next, watcher->Offer(load, now));
  return next;
}

void LoadWatchers::Run() {
  absl::Duration next = absl::InfiniteDuration();
  MutexLock lock(mu_);
  while (!stopping_) {
    if (!dirty_ && next == absl::InfiniteDuration()) {
      wake_.Wait(mu_);
      continue;
    }
    if (!dirty_ && next > absl::ZeroDuration()) {
      const absl::Time until = absl::Now() + next;
      wake_.WaitFor(mu_, absl::ToChronoNanoseconds(next));
      next = std::max(until - absl::Now(), absl::ZeroDuration());
      continue;
    }
    const bool changed = std::exchange(dirty_, false);
    mu_.Unlock();
    const EngineLoad load = engine_.load();
    if (changed) on_load_(load);
    mu_.Lock();
    next = SendLocked(load, absl::Now());
  }
}

void LoadWatchers::Stop() {
  engine_.SetLoadListener(nullptr);
  {
    MutexLock lock(mu_);
    stopping_ = true;
    for (Watcher* watcher : watchers_) {
      watcher->Finish({grpc::StatusCode::UNAVAILABLE, "the engine is stopping"});
    }
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace vallm::engine
