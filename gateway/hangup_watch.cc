#include "gateway/hangup_watch.h"

#include <glog/logging.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace vallm::gateway {
namespace {

constexpr uint64_t kStopId = 0;

void Add(int epoll, int fd, uint32_t events, uint64_t id) {
  epoll_event event = {.events = events, .data = {.u64 = id}};
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

HangupWatch::HangupWatch()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  PCHECK(epoll_ >= 0 && stop_ >= 0) << "no descriptors left to watch clients with";
  Add(epoll_, stop_, EPOLLIN, kStopId);
  thread_ = std::thread([this] { Run(); });
}

HangupWatch::~HangupWatch() {
  ::eventfd_write(stop_, 1);
  thread_.join();
  ::close(stop_);
  ::close(epoll_);
}

std::unique_ptr<HangupWatch::Place> HangupWatch::Watch(int fd, std::function<void()> callback) {
  uint64_t id;
  {
    MutexLock lock(mu_);
    id = ++last_id_;
    callbacks_.emplace(id, std::move(callback));
  }
  Add(epoll_, fd, EPOLLRDHUP | EPOLLONESHOT, id);
  return std::make_unique<Place>(*this, id, fd);
}

void HangupWatch::Remove(uint64_t id, int fd) {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  MutexLock lock(mu_);
  callbacks_.erase(id);
}

void HangupWatch::Run() {
  std::array<epoll_event, 64> events;
  for (;;) {
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const uint64_t id = events[static_cast<size_t>(i)].data.u64;
      if (id == kStopId) return;
      std::function<void()> callback;
      {
        MutexLock lock(mu_);
        const auto found = callbacks_.find(id);
        if (found == callbacks_.end()) continue;
        callback = std::move(found->second);
        callbacks_.erase(found);
      }
      callback();
    }
  }
}

}  // namespace vallm::gateway
