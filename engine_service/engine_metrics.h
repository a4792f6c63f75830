// Prometheus metrics of one engine, under vLLM's names so that its dashboards work unchanged.
// Thread-safe.
#ifndef VALLM_ENGINE_SERVICE_ENGINE_METRICS_H_
#define VALLM_ENGINE_SERVICE_ENGINE_METRICS_H_

#include <prometheus/registry.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "engine_service/engine.h"
#include "engine_service/request.h"

namespace vallm::engine {

class EngineMetrics {
 public:
  // `model_name` is the label of every series.
  explicit EngineMetrics(const std::string& model_name);
  ~EngineMetrics();

  std::shared_ptr<prometheus::Registry> registry() const;

  // Once: what the KV cache is like.
  void OnCache(const SchedulerOptions& options);
  void OnLoad(const EngineLoad& load);
  void OnStep(const StepStats& step);
  // The first token of a request has come, so its prompt is computed.
  void OnFirstToken(int64_t prompt_tokens, absl::Duration since_arrival);
  // A request gave `count` >= 1 tokens at once, `since_last` after those before; absent for the
  // first.
  void OnTokens(int count, std::optional<absl::Duration> since_last);
  // A request that was accepted, with `max_tokens` if it had any, has ended, one way or another.
  void OnFinish(const Completion& completion, std::optional<int32_t> max_tokens,
                absl::Duration end_to_end);

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_ENGINE_METRICS_H_
