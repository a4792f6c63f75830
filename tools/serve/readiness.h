// Whether the services answer: a thread asks each of them, again and again.
#ifndef VALLM_TOOLS_SERVE_READINESS_H_
#define VALLM_TOOLS_SERVE_READINESS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"

namespace vallm::tools {

struct ProbeTarget {
  enum class Kind {
    kTokenizer,  // ready: grpc.health.v1 says SERVING
    kEngine,     // ready: the first Load of Engine.WatchLoad says SERVING
    kGateway,    // ready: GET /health answers 200
  };
  Kind kind = Kind::kTokenizer;
  std::string address;  // "host:port"
};

// What a target answered last.
struct TargetState {
  bool ready = false;
  int loaded_percent = -1;  // of the weights, while an engine loads them; -1: unknown
  // How long a target that was ready has not answered at all; "not ready" is an answer. Covers at
  // least three probes, so that a pause of this process is not held against the target.
  absl::Duration silent_for = absl::ZeroDuration();
};

class ReadinessMonitor {
 public:
  // Starts the thread.
  explicit ReadinessMonitor(std::vector<ProbeTarget> targets);
  // Ends the thread; takes as long as one round of probes at most.
  ~ReadinessMonitor();
  ReadinessMonitor(const ReadinessMonitor&) = delete;
  ReadinessMonitor& operator=(const ReadinessMonitor&) = delete;

  // In the order of the targets. Thread-safe.
  std::vector<TargetState> States() const;

  // Forgets what target `index` answered, because its process ended; an answer already on its way
  // does not count. Thread-safe.
  void MarkDown(int index);

 private:
  struct Target {
    ProbeTarget probe = {};
    TargetState state = {};
    int generation = 0;  // rises when the target is marked down
    bool was_ready = false;
    int unanswered = 0;  // probes in a row
    absl::Time unanswered_since = {};
  };

  // Notes what a probe that began at `begin` brought; nothing: no answer.
  static void Record(const std::optional<TargetState>& answer, absl::Time begin, Target* target);

  void Run();

  mutable Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Target> targets_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

// What the engine at `address` (host:port) serves.
struct EngineSummary {
  std::string architecture;
  std::string device;
  int tensor_parallel_size = 0;
  int max_model_len = 0;
  int max_input_len = 0;
  int max_batch_size = 0;
  int64_t kv_cache_tokens = 0;
};

// Errors: those of the Engine service.
absl::StatusOr<EngineSummary> DescribeEngine(const std::string& address);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_READINESS_H_
