// Which connections wait for a request, so that one of them can make room for a new one.
#ifndef VALLM_GATEWAY_IDLE_CONNECTIONS_H_
#define VALLM_GATEWAY_IDLE_CONNECTIONS_H_

#include <sys/socket.h>

#include <list>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "common/mutex.h"

namespace vallm::gateway {

// The connections that wait for a request, longest first. Thread-safe.
class IdleConnections {
 public:
  struct Entry {
    int fd;
    bool evicted = false;
  };
  using Place = std::list<Entry>::iterator;

  // `fd` must stay open until Leave.
  Place Enter(int fd) {
    MutexLock lock(mu_);
    return entries_.insert(entries_.end(), Entry{.fd = fd});
  }

  // False if the connection has been evicted: it is to end then.
  bool Leave(Place place) {
    MutexLock lock(mu_);
    const bool evicted = place->evicted;
    entries_.erase(place);
    return !evicted;
  }

  // Ends the wait of the connection that has waited longest. False when none waits.
  bool EvictOldest() {
    MutexLock lock(mu_);
    for (Entry& entry : entries_) {
      if (Evict(entry)) return true;
    }
    return false;
  }

  // Ends the wait of all that wait now.
  void EvictAll() {
    MutexLock lock(mu_);
    for (Entry& entry : entries_) Evict(entry);
  }

 private:
  // False when it is about to leave already.
  static bool Evict(Entry& entry) {
    if (std::exchange(entry.evicted, true)) return false;
    // Wakes its thread, which may still have to say good-bye (TLS).
    ::shutdown(entry.fd, SHUT_RD);
    return true;
  }

  Mutex mu_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mu_);
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_IDLE_CONNECTIONS_H_
