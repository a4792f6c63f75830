// The engine: token ids in, token ids out. Joins the scheduler, the sampler and a group of worker
// processes; knows no wire format.
//
//   VALLM_ASSIGN_OR_RETURN(auto engine, Engine::Create(options));
//   VALLM_RETURN_IF_ERROR(engine->WaitUntilServing());
//   VALLM_ASSIGN_OR_RETURN(Generation answer, engine->Generate(request));
//
// One thread of its own plans, runs and samples step after step; everything else may be called from
// any thread. When a worker dies or hangs, all requests end with UNAVAILABLE and the group is
// started again, at first at once, then with a back-off.
#ifndef VALLM_ENGINE_SERVICE_ENGINE_H_
#define VALLM_ENGINE_SERVICE_ENGINE_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "engine_service/constraint_cache.h"
#include "engine_service/engine_options.h"
#include "engine_service/engine_setup.h"
#include "engine_service/executor/worker_group.h"
#include "engine_service/output_constraint.h"
#include "engine_service/rate_meter.h"
#include "engine_service/request.h"
#include "engine_service/restart_backoff.h"
#include "engine_service/sampling/sampling_state.h"
#include "engine_service/scheduler/scheduler.h"
#include "engine_service/step_decider.h"
#include "engine_service/thinking/thought_closer.h"
#include "engine_service/thinking/thought_tokens.h"

namespace vallm::engine {

enum class EngineState {
  kLoading,  // the model is not loaded yet
  kServing,
  kRestarting,  // a worker died; the group is coming back
  kDraining,    // finishes what it has, takes nothing new
  kFailed,      // the model cannot be loaded: will never serve
};

struct EngineLoad {
  EngineState state = EngineState::kLoading;
  int32_t running = 0;
  int32_t waiting = 0;
  int32_t max_batch_size = 0;
  int64_t free_kv_blocks = 0;
  int64_t total_kv_blocks = 0;
  int64_t cached_kv_blocks = 0;  // of the free ones, those that hold cached prefixes
  SchedulerCounters counters;
  int64_t generated_tokens = 0;  // since the engine was created
  double tokens_per_second = 0;  // generated now, smoothed; 0 when nothing runs
  int64_t prompt_tokens = 0;     // of the requests that were accepted since then
  LoadingProgress loading;       // while the workers start; its changes do not call the listener

  bool operator==(const EngineLoad&) const = default;
};

// One step of the engine.
struct StepStats {
  int32_t prompt_tokens = 0;         // computed, those of resumed and preempted output included
  int32_t sampled_tokens = 0;        // rows
  absl::Duration model_time;         // the workers'
  absl::Duration sampling_time;      // from logits to tokens
  absl::Duration schedule_time;      // everything else: planning, committing, handing out tokens
  absl::Duration schedule_cpu_time;  // of that, the thread's own, without waits for a core
};

// Names an accepted request. Never used twice.
using RequestHandle = SequenceId;

struct Submitted {
  RequestHandle handle;
  std::string request_id;  // given or made
  int64_t seed;            // in use, given or drawn
};

class Engine {
 public:
  // Reads the model's configuration and starts to load it in the background.
  // Errors: those of PrepareEngine.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const EngineOptions& options);
  // Drains without grace.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // A seed for a request that has none.
  static int64_t DrawSeed();

  const ModelInfo& model_info() const { return setup_.info; }
  const SchedulerOptions& scheduler_options() const { return setup_.scheduler; }
  EngineLoad load() const;
  // Why, in state kFailed; else OK.
  absl::Status failure() const;
  LoadingProgress loading_progress() const;
  std::vector<pid_t> worker_pids() const;

  // Waits until the engine serves for the first time. Errors: why it never will; UNAVAILABLE when
  // it drains.
  absl::Status WaitUntilServing();

  // Takes a request, or refuses it at once. The sink is called from the engine's thread, or by
  // Submit itself when the resumed tokens are the whole answer already; it may be called before
  // Submit returns and is released after OnFinish.
  // Errors: INVALID_ARGUMENT (a bad field; names it, its value and the limit; a constraint that is
  // not supported), RESOURCE_EXHAUSTED (queue full), ALREADY_EXISTS (a live request has the id),
  // UNAVAILABLE (not serving), DEADLINE_EXCEEDED (passed already).
  absl::StatusOr<Submitted> Submit(GenerationRequest request, std::shared_ptr<RequestSink> sink);

  // The request ends at the next step with finish reason kAbort. Errors: NOT_FOUND.
  absl::Status Abort(const std::string& request_id);
  // The same for a caller who is gone; ends with CANCELLED. Handles of ended requests are ignored.
  void Cancel(RequestHandle handle);

  // Closes the thought of a request at the next step; one that begins later, at once. Returns the
  // position in the output from which on that holds: ThinkingOptions::end_position. Idempotent.
  // Errors: NOT_FOUND; FAILED_PRECONDITION when the answer has begun, or the model has no thoughts.
  absl::StatusOr<int32_t> EndThinking(const std::string& request_id);

  // Requests that come find nothing that was computed before. Returns the number of KV blocks that
  // could have been found.
  int32_t ResetPrefixCache();

  // Submits and waits. Errors: those of Submit. How it ended is in the result.
  absl::StatusOr<Generation> Generate(GenerationRequest request);
  // All of them, in the order given, as many at a time as the engine takes; waits for workers that
  // restart. Errors are per request.
  std::vector<absl::StatusOr<Generation>> GenerateAll(std::vector<GenerationRequest> requests);

  // Called after load() may have changed, from any thread, also right now. Must not block or call
  // the engine but load(). Null stops it; no call is under way when this returns.
  void SetLoadListener(std::function<void()> listener);

  // Called after every step from the engine's thread. Must not block or call the engine. Null stops
  // it; no call is under way when this returns.
  void SetStepListener(std::function<void(const StepStats&)> listener);

  // Takes nothing new from now on; what runs goes on. Idempotent.
  void StopAdmission();
  // Takes nothing new, waits up to `grace` for what runs, ends the rest with UNAVAILABLE and stops
  // the workers. Idempotent.
  void Drain(absl::Duration grace);

 private:
  // What the scheduler need not know of a request.
  struct Request {
    std::string request_id;
    // Of the engine's thread, and of the one that it lets decide for the request.
    std::unique_ptr<SamplingState> sampling;
    std::unique_ptr<OutputConstraint> constraint;  // null: none
    std::unique_ptr<ThoughtCloser> closer;         // null: none
    std::unique_ptr<PromptLookup> lookup;          // the engine's thread only; null: none
    std::optional<ConstraintStart::Phase> constraint_start;
    ThinkingOptions thinking;
    int32_t tokens_under_way = 0;  // that the step under way may give to it
    std::optional<int32_t> top_logprobs;
    std::optional<int32_t> prompt_top_logprobs;
    std::shared_ptr<RequestSink> sink;
    absl::Status end_status;  // instead of ABORT: why it was cancelled or failed
  };
  // A request on its way out.
  struct Leaving {
    std::shared_ptr<RequestSink> sink;
    Completion completion;
  };

  explicit Engine(EngineSetup setup);

  // ---- The engine's thread: engine_loop.cc ----
  void Loop();
  // Starts a group and serves until it is lost or the engine stops. `uptime`: how long it served.
  absl::Status ServeOnce(absl::Duration& uptime);
  absl::Status RunSteps(WorkerGroup& group);
  // Waits for work. False when there will be none: `why` says what happened.
  bool PlanNext(StepPlan& plan, StepTasks& tasks, absl::Status& why);
  // Tells the scheduler what may come next of the requests that want speculation.
  void GuessLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What the planned rows need of their requests, which are told of them.
  StepTasks TasksOfLocked(const StepPlan& plan) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CommitStep(const StepPlan& plan, StepResults results);
  // Requests whose rows cannot be used end with the reason at the next sweep.
  void AbortUnusableLocked(const StepPlan& plan, const StepResults& results)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReportStep(const StepPlan& plan);
  // Waits out the back-off. False when the engine stops.
  bool WaitToRestart(const absl::Status& why, absl::Duration uptime);
  void EndAll(const absl::Status& status);
  bool SetState(EngineState state);
  Leaving LeaveLocked(const EndedSequence& ended) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::StatusOr<SequenceSpec> MakeSpec(GenerationRequest& request) const;
  // Null if the request has no constraint.
  absl::StatusOr<std::unique_ptr<OutputConstraint>> MakeConstraint(
      const GenerationRequest& request);
  absl::StatusOr<SamplingParams> MakeSampling(const GenerationRequest& request,
                                              const SequenceSpec& spec) const;
  // Null if the request sets no limit to its thoughts.
  absl::StatusOr<std::unique_ptr<ThoughtCloser>> MakeCloser(
      const ThinkingOptions& options, std::span<const int32_t> prompt,
      std::optional<ConstraintStart::Phase> constraint_start);
  EngineLoad LoadLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NotifyLoad();

  const EngineSetup setup_;
  ConstraintCache constraints_;
  ThoughtTokensLoader thought_tokens_;
  StepDecider decider_;     // the engine's thread only
  RestartBackoff backoff_;  // the engine's thread only
  StepStats step_;          // the engine's thread only; of the step under way

  mutable Mutex mu_;
  CondVar changed_;
  EngineState state_ ABSL_GUARDED_BY(mu_) = EngineState::kLoading;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);  // why, in state kFailed
  bool served_ ABSL_GUARDED_BY(mu_) = false;   // ever
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool worker_died_ ABSL_GUARDED_BY(mu_) = false;
  WorkerGroup* group_ ABSL_GUARDED_BY(mu_) = nullptr;  // while there is one
  Scheduler scheduler_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<SequenceId, Request> requests_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::string, SequenceId> by_request_id_ ABSL_GUARDED_BY(mu_);
  int64_t generated_tokens_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t prompt_tokens_ ABSL_GUARDED_BY(mu_) = 0;
  RateMeter token_rate_ ABSL_GUARDED_BY(mu_);

  Mutex listener_mu_;  // held while a listener runs; never taken with mu_ held
  std::function<void()> listener_ ABSL_GUARDED_BY(listener_mu_);
  std::function<void(const StepStats&)> step_listener_ ABSL_GUARDED_BY(listener_mu_);

  Mutex drain_mu_;  // one Drain at a time; never taken with another one held
  std::thread thread_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_ENGINE_H_
