// What the routes share: the services behind the gateway and its own state. Thread-safe; owned by
// the Gateway and outlives every request.
#ifndef VALLM_GATEWAY_ROUTES_CONTEXT_H_
#define VALLM_GATEWAY_ROUTES_CONTEXT_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/admin/recorder.h"
#include "gateway/admin/request_log.h"
#include "gateway/generation/live_answers.h"
#include "gateway/metrics.h"
#include "gateway/openai/background_tasks.h"
#include "gateway/options.h"
#include "gateway/prompt_tokenizer.h"
#include "gateway/responses/response_store.h"
#include "gateway/routing/instance_pool.h"

namespace vallm::gateway {

// Counts the requests that generate, and bounds them.
class RequestGate {
 public:
  explicit RequestGate(int limit) : limit_(limit) {}

  // Holds a place until destroyed.
  class Place {
   public:
    explicit Place(RequestGate* gate) : gate_(gate) {}
    Place(Place&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (gate_ != nullptr) gate_->Leave();
    }

   private:
    RequestGate* gate_;
  };

  // Errors: UNAVAILABLE when the gate is closed or full.
  absl::StatusOr<Place> Enter();
  void Close();
  int inside();
  // Waits until nobody is inside; false on time-out.
  bool WaitUntilEmpty(absl::Duration timeout);

 private:
  void Leave();

  const int limit_;
  Mutex mu_;
  CondVar left_;
  int inside_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

// The model under its served names.
struct ServedModel {
  std::vector<std::string> names;  // at least one; the first is what responses say
  int64_t max_model_len = 0;
  int64_t max_input_len = 0;
  std::string fingerprint;  // of the weights and numerics
};

struct GatewayContext {
  GatewayContext(const GatewayOptions& gateway_options, const std::string& metrics_model_name)
      : options(gateway_options),
        pool(gateway_options.instances),
        tokenizer(gateway_options.tokenizer, gateway_options.instances.queue.no_instance_timeout,
                  gateway_options.instances.tls),
        metrics(metrics_model_name, gateway_options.instances.queue.policy.kind),
        background_tasks(gateway_options.background_tasks, gateway_options.background_task_markers),
        gate(gateway_options.max_concurrent_requests),
        responses(gateway_options.max_stored_responses,
                  int64_t{gateway_options.stored_responses_mib} << 20),
        recorder(pool, request_log),
        start_time(absl::Now()) {}

  // Waits for an instance if none has been seen yet. Errors: UNAVAILABLE.
  absl::StatusOr<ServedModel> GetServedModel();
  // The same for the name a request asks for; empty means the default. Errors also: NOT_FOUND with
  // code model_not_found.
  absl::StatusOr<ServedModel> GetServedModel(const std::string& name);

  const GatewayOptions options;
  InstancePool pool;
  PromptTokenizer tokenizer;
  GatewayMetrics metrics;
  const BackgroundTasks background_tasks;
  RequestGate gate;
  LiveAnswers live_answers;
  ResponseStore responses;
  RequestLog request_log;
  Recorder recorder;
  const absl::Time start_time;
  std::atomic<bool> draining{false};  // not ready; running answers go on
  std::atomic<bool> stopping{false};  // running answers end with an error
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_CONTEXT_H_
