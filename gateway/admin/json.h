// The management port's JSON: docs/admin.md is its reference. Pure.
#ifndef VALLM_GATEWAY_ADMIN_JSON_H_
#define VALLM_GATEWAY_ADMIN_JSON_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gateway/admin/history.h"
#include "gateway/admin/request_log.h"
#include "gateway/routing/instance_pool.h"

namespace vallm::gateway {

struct Overview {
  std::string version;
  absl::Time started;
  bool draining = false;
  std::vector<std::string> models;  // served names; empty while unknown
  int queued = 0;
  int max_queue_size = 0;
  size_t active_requests = 0;
  int max_concurrent_requests = 0;
  std::vector<InstanceSnapshot> instances;
};

std::string OverviewJson(const Overview& overview, absl::Time now);

// A column per series.
std::string HistoryJson(const std::vector<HistoryPoint>& points, int step);

std::string RequestsJson(const std::vector<RequestEntry>& active,
                         const std::vector<RequestEntry>& recent, absl::Time now);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ADMIN_JSON_H_
