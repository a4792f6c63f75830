#include "gateway/routing/address_poller.h"

#include <glog/logging.h>

#include <utility>

#include "common/mutex.h"

namespace vallm::gateway {

// Shared with the thread, which a read that blocks may keep beyond the poller's life.
struct AddressPoller::State {
  absl::Duration interval;
  Read read;
  Sink sink;
  Mutex mu;
  CondVar wake;
  bool stopping ABSL_GUARDED_BY(mu) = false;
  bool reading ABSL_GUARDED_BY(mu) = false;
};

AddressPoller::AddressPoller(absl::Duration interval, Read read, Sink sink)
    : state_(std::make_shared<State>()) {
  state_->interval = interval;
  state_->read = std::move(read);
  state_->sink = std::move(sink);
  thread_ = std::thread([state = state_] { Run(*state); });
}

AddressPoller::~AddressPoller() {
  bool reading = false;
  {
    MutexLock lock(state_->mu);
    state_->stopping = true;
    reading = state_->reading;
    state_->wake.NotifyAll();
  }
  reading ? thread_.detach() : thread_.join();
}

void AddressPoller::Run(State& state) {
  absl::Status last_error;
  MutexLock lock(state.mu);
  while (!state.stopping) {
    state.reading = true;
    state.mu.Unlock();
    const absl::StatusOr<std::vector<std::string>> addresses = state.read();
    state.mu.Lock();
    state.reading = false;
    if (state.stopping) return;
    if (addresses.ok()) {
      state.sink(*addresses);
    } else if (addresses.status() != last_error) {
      LOG(WARNING) << addresses.status().message() << "; the instances stay as they are";
    }
    last_error = addresses.status();
    state.wake.WaitFor(state.mu, absl::ToChronoNanoseconds(state.interval));
  }
}

}  // namespace vallm::gateway
