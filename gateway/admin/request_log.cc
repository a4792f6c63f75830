#include "gateway/admin/request_log.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace vallm::gateway {
namespace {

constexpr int kClientGone = 499;

}  // namespace

std::shared_ptr<RequestTrace> RequestLog::Begin(std::string id, std::string endpoint,
                                                std::string key_name, absl::Time arrived) {
  MutexLock lock(mu_);
  const int64_t number = next_number_++;
  RequestEntry& entry = active_[number];
  entry.id = std::move(id);
  entry.endpoint = std::move(endpoint);
  entry.key_name = std::move(key_name);
  entry.arrived = arrived;
  return std::shared_ptr<RequestTrace>(new RequestTrace(*this, number));
}

void RequestLog::Update(int64_t number, RequestProgress progress) {
  MutexLock lock(mu_);
  const auto found = active_.find(number);
  if (found == active_.end()) return;
  RequestEntry& entry = found->second;
  if (progress.first_token && !entry.progress.first_token) {
    counts_.first_token.Add(*progress.first_token - entry.arrived);
  }
  entry.progress = std::move(progress);
}

void RequestLog::End(int64_t number, int status, absl::Time now) {
  MutexLock lock(mu_);
  auto node = active_.extract(number);
  if (node.empty()) return;
  RequestEntry& entry = node.mapped();
  entry.status = status;
  entry.ended = now;
  if (status == kClientGone) {
    ++counts_.aborted;
  } else {
    ++(status < 400 ? counts_.succeeded : status < 500 ? counts_.refused : counts_.failed);
  }
  recent_.push_back(std::move(entry));
  if (recent_.size() > capacity_) recent_.pop_front();
}

std::vector<RequestEntry> RequestLog::Active(size_t limit) const {
  MutexLock lock(mu_);
  std::vector<RequestEntry> entries;
  for (const auto& [number, entry] : active_) {
    if (entries.size() == limit) break;
    entries.push_back(entry);
  }
  return entries;
}

std::vector<RequestEntry> RequestLog::Recent(size_t limit) const {
  MutexLock lock(mu_);
  const size_t count = std::min(limit, recent_.size());
  return {recent_.rbegin(), recent_.rbegin() + static_cast<std::ptrdiff_t>(count)};
}

size_t RequestLog::active_count() const {
  MutexLock lock(mu_);
  return active_.size();
}

RequestCounts RequestLog::TakeCounts() {
  MutexLock lock(mu_);
  return std::exchange(counts_, {});
}

RequestTrace::~RequestTrace() { log_.End(number_, kClientGone, absl::Now()); }

void RequestTrace::End(int status) { log_.End(number_, status, absl::Now()); }

}  // namespace vallm::gateway
