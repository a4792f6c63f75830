// What becomes of requests: those under way with the phase they are in, the last few hundred that
// have ended, and what ended within an interval, for the charts. Knows lengths and times, never
// what a prompt or an answer says. Thread-safe; outlives its traces.
#ifndef VALLM_GATEWAY_ADMIN_REQUEST_LOG_H_
#define VALLM_GATEWAY_ADMIN_REQUEST_LOG_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/admin/time_histogram.h"

namespace vallm::gateway {

// What a request has come to. Phases follow one another; a time that is absent was not reached.
struct RequestProgress {
  std::string model;
  std::string answer_id;  // "chatcmpl-…"
  bool streamed = false;
  int choices = 0;
  std::vector<std::string> instances;  // in the order they were used; more than one after a move
  int moves = 0;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;              // of these; known at the end
  int64_t completion_tokens = 0;          // up to now
  std::string finish_reason;              // of an answer, or the code of its error
  std::optional<absl::Time> tokenized;    // the prompt is token ids
  std::optional<absl::Time> placed;       // a slot on an instance
  std::optional<absl::Time> first_token;  // of any choice
};

struct RequestEntry {
  std::string id;        // the request's, as in x-request-id
  std::string endpoint;  // path
  std::string key_name;  // of the API key; empty where none was asked for
  RequestProgress progress;
  int status = 0;  // as the client saw it, 499 if it had gone; 0 while under way
  absl::Time arrived;
  std::optional<absl::Time> ended;
};

// What happened in an interval.
struct RequestCounts {
  int64_t succeeded = 0;
  int64_t failed = 0;         // 5xx
  int64_t refused = 0;        // 4xx
  int64_t aborted = 0;        // the client went
  TimeHistogram first_token;  // from arrival
};

class RequestTrace;

class RequestLog {
 public:
  // Keeps the last `capacity` requests that have ended.
  explicit RequestLog(size_t capacity = 500) : capacity_(capacity) {}
  RequestLog(const RequestLog&) = delete;
  RequestLog& operator=(const RequestLog&) = delete;

  // A request has come. It is under way until its trace says that it has ended or is gone.
  std::shared_ptr<RequestTrace> Begin(std::string id, std::string endpoint, std::string key_name,
                                      absl::Time arrived);

  // Those under way, oldest first; at most `limit`.
  std::vector<RequestEntry> Active(size_t limit) const;
  // Those that have ended, the latest first; at most `limit`.
  std::vector<RequestEntry> Recent(size_t limit) const;
  size_t active_count() const;

  // What happened since the last call.
  RequestCounts TakeCounts();

 private:
  friend class RequestTrace;
  void Update(int64_t number, RequestProgress progress);
  void End(int64_t number, int status, absl::Time now);

  const size_t capacity_;
  mutable Mutex mu_;
  int64_t next_number_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<int64_t, RequestEntry> active_ ABSL_GUARDED_BY(mu_);
  std::deque<RequestEntry> recent_ ABSL_GUARDED_BY(mu_);  // the latest last
  RequestCounts counts_ ABSL_GUARDED_BY(mu_);
};

// One request's line to the log. Thread-safe.
class RequestTrace {
 public:
  // A client that went before its request was answered leaves a trace that has not ended: 499.
  ~RequestTrace();
  RequestTrace(const RequestTrace&) = delete;
  RequestTrace& operator=(const RequestTrace&) = delete;

  // Replaces what is known. No-op once it has ended.
  void Update(RequestProgress progress) { log_.Update(number_, std::move(progress)); }
  // Only the first call counts.
  void End(int status);

 private:
  friend class RequestLog;
  RequestTrace(RequestLog& log, int64_t number) : log_(log), number_(number) {}
  RequestLog& log_;
  const int64_t number_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ADMIN_REQUEST_LOG_H_
