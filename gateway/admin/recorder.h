// Takes a sample of everything for the history, every second, in a thread of its own.
#ifndef VALLM_GATEWAY_ADMIN_RECORDER_H_
#define VALLM_GATEWAY_ADMIN_RECORDER_H_

#include <thread>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/admin/history.h"
#include "gateway/admin/request_log.h"
#include "gateway/routing/instance_pool.h"
#include "gateway/routing/load_totals.h"

namespace vallm::gateway {

class Recorder {
 public:
  // `pool` and `requests` must outlive it.
  Recorder(const InstancePool& pool, RequestLog& requests);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  const History& history() const { return history_; }

 private:
  void Run();
  // The second that ends at `end`.
  HistorySample Sample(int64_t end);

  const InstancePool& pool_;
  RequestLog& requests_;
  History history_;
  LoadFollower loads_;  // of the thread
  Mutex mu_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ADMIN_RECORDER_H_
