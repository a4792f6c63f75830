// Tells who waits on behalf of a client when that closes its connection: one thread for all of
// them, so that nobody has to look again and again. Thread-safe.
#ifndef VALLM_GATEWAY_HANGUP_WATCH_H_
#define VALLM_GATEWAY_HANGUP_WATCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "common/mutex.h"

namespace vallm::gateway {

class HangupWatch {
 public:
  // Watches until it is destroyed, which must be before the descriptor is closed.
  class Place {
   public:
    Place(HangupWatch& watch, uint64_t id, int fd) : watch_(watch), id_(id), fd_(fd) {}
    ~Place() { watch_.Remove(id_, fd_); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    HangupWatch& watch_;
    const uint64_t id_;
    const int fd_;
  };

  HangupWatch();
  // REQUIRES: no Place is left.
  ~HangupWatch();
  HangupWatch(const HangupWatch&) = delete;
  HangupWatch& operator=(const HangupWatch&) = delete;

  // Calls `callback` once, from the watch's thread, when the peer of the socket has closed its side
  // or the connection is broken, be that so already. It must not block, and must own what it uses:
  // it may still run when the place has been given up. One place per socket at a time.
  std::unique_ptr<Place> Watch(int fd, std::function<void()> callback);

 private:
  void Run();
  void Remove(uint64_t id, int fd);

  const int epoll_;
  const int stop_;  // an eventfd
  Mutex mu_;
  uint64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uint64_t, std::function<void()>> callbacks_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_HANGUP_WATCH_H_
