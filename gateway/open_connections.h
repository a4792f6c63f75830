// The connections that are open: how many each client has, and which to cut when time is up.
#ifndef VALLM_GATEWAY_OPEN_CONNECTIONS_H_
#define VALLM_GATEWAY_OPEN_CONNECTIONS_H_

#include <sys/socket.h>

#include <set>
#include <string>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "common/mutex.h"

namespace vallm::gateway {

// Thread-safe.
class OpenConnections {
 public:
  // `per_client`: at most so many from one address; 0: no limit.
  explicit OpenConnections(int per_client) : per_client_(per_client) {}

  // Holds the place of one until destroyed.
  class Place {
   public:
    Place(OpenConnections& connections, int fd, const std::string& address)
        : connections_(connections), fd_(fd), address_(address) {
      within_limit_ = connections_.Add(fd_, address_);
    }
    // The descriptor must still be open.
    ~Place() { connections_.Remove(fd_, address_); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    bool within_limit() const { return within_limit_; }

   private:
    OpenConnections& connections_;
    const int fd_;
    const std::string address_;
    bool within_limit_;
  };

  // Ends them all from below: whoever reads or writes one finds it broken.
  void CutAll() {
    MutexLock lock(mu_);
    for (const int fd : fds_) ::shutdown(fd, SHUT_RDWR);
  }

 private:
  bool Add(int fd, const std::string& address) {
    MutexLock lock(mu_);
    fds_.insert(fd);
    const int count = ++counts_[address];
    return per_client_ == 0 || count <= per_client_;
  }
  void Remove(int fd, const std::string& address) {
    MutexLock lock(mu_);
    fds_.erase(fd);
    const auto count = counts_.find(address);
    if (--count->second == 0) counts_.erase(count);
  }

  const int per_client_;
  Mutex mu_;
  std::set<int> fds_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::string, int> counts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPEN_CONNECTIONS_H_
