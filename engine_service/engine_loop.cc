// The engine's own thread: keeps a group of workers alive, plans, runs and samples steps.
#include <glog/logging.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "common/thread_cpu_time.h"
#include "engine_service/engine.h"

namespace vallm::engine {
namespace {

// Failures to load that another try will not mend.
bool IsPermanent(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
         absl::IsUnimplemented(status) || absl::IsFailedPrecondition(status);
}

Usage UsageOf(const Sequence& sequence) {
  const auto between = [](std::optional<absl::Time> from, std::optional<absl::Time> to) {
    return from.has_value() && to.has_value() ? *to - *from : absl::ZeroDuration();
  };
  return {.prompt_tokens = sequence.prompt_count(),
          .cached_tokens = sequence.cached_prompt_count.value_or(0),
          .completion_tokens = sequence.output_count(),
          .draft_tokens = sequence.draft_count,
          .accepted_draft_tokens = sequence.accepted_draft_count,
          .queue_time = between(sequence.arrival_time, sequence.first_step_time),
          .prefill_time = between(sequence.first_step_time, sequence.first_token_time),
          .decode_time = between(sequence.first_token_time, sequence.last_token_time)};
}

}  // namespace

void Engine::Loop() {
  for (const std::string& line : setup_.description) LOG(INFO) << line;
  for (const std::string& warning : setup_.warnings) LOG(WARNING) << warning;
  while (true) {
    absl::Duration uptime = absl::ZeroDuration();
    const absl::Status why = ServeOnce(uptime);
    EndAll(absl::UnavailableError(why.message()));
    if (!WaitToRestart(why, uptime)) return;
  }
}

absl::Status Engine::ServeOnce(absl::Duration& uptime) {
  WorkerGroupOptions options = setup_.group;
  options.on_death = [this] {
    MutexLock lock(mu_);
    worker_died_ = true;
    changed_.NotifyAll();
  };
  const absl::Time start = absl::Now();
  VALLM_ASSIGN_OR_RETURN(const std::unique_ptr<WorkerGroup> group, WorkerGroup::Start(options));
  {
    MutexLock lock(mu_);
    worker_died_ = false;
    group_ = group.get();
    if (stopping_) group_->Stop(absl::UnavailableError("the engine is draining"));
  }
  absl::Status status = group->WaitReady();
  if (status.ok()) {
    const absl::Time ready = absl::Now();
    const LoadDurations load = group->load_durations();
    LOG(INFO) << "serving after " << ready - start << "; of that, on the slowest rank: opening the "
              << "checkpoint " << load.open << ", packing weights " << load.weights
              << ", allocating the KV cache " << load.kv_cache;
    SetState(EngineState::kServing);
    status = RunSteps(*group);
    uptime = absl::Now() - ready;
  }
  MutexLock lock(mu_);
  group_ = nullptr;
  return status;
}

absl::Status Engine::RunSteps(WorkerGroup& group) {
  StepPlan plan;
  StepTasks tasks;
  absl::Status why;
  while (PlanNext(plan, tasks, why)) {
    const absl::Time planned = absl::Now();
    VALLM_ASSIGN_OR_RETURN(const std::span<const float> logits, group.RunStep(plan.view()));
    const absl::Time ran = absl::Now();
    step_.model_time = ran - planned;
    StepResults results = decider_.Decide(plan, tasks, logits);
    const absl::Time sampled = absl::Now();
    const absl::Duration sampled_cpu = ThreadCpuTime();
    step_.sampling_time = sampled - ran;
    CommitStep(plan, std::move(results));
    step_.schedule_time += absl::Now() - sampled;
    step_.schedule_cpu_time += ThreadCpuTime() - sampled_cpu;
    ReportStep(plan);
  }
  // The group has the better account of a death.
  const absl::Status reason = group.WaitReady();
  return reason.ok() ? why : reason;
}

void Engine::ReportStep(const StepPlan& plan) {
  // A chunk that ends in a sampled token counts that one there.
  step_.prompt_tokens = static_cast<int32_t>(plan.token_ids.size() - plan.rows.size());
  MutexLock lock(listener_mu_);
  if (step_listener_) step_listener_(step_);
}

StepTasks Engine::TasksOfLocked(const StepPlan& plan) {
  StepTasks tasks;
  for (const StepPlan::Row& row : plan.rows) {
    Request& request = requests_.at(row.sequence_id);
    ++request.tokens_under_way;
    tasks.rows.push_back({.sampling = request.sampling.get(),
                          .constraint = request.constraint.get(),
                          .closer = request.closer.get(),
                          .thinking_end_position = request.thinking.end_position,
                          .top_logprobs = request.top_logprobs});
  }
  for (const StepPlan::PromptRow& row : plan.prompt_rows) {
    tasks.prompt_rows.push_back(
        {row.token_id, requests_.at(row.sequence_id).prompt_top_logprobs.value_or(0)});
  }
  return tasks;
}

void Engine::GuessLocked() {
  for (const auto& sequence : scheduler_.running()) {
    const auto& lookup = requests_.at(sequence->id).lookup;
    if (lookup != nullptr) scheduler_.Guess(sequence->id, lookup->Guess(sequence->output_ids));
  }
}

bool Engine::PlanNext(StepPlan& plan, StepTasks& tasks, absl::Status& why) {
  plan.Clear();
  absl::Time now;
  absl::Duration cpu;
  while (plan.empty()) {
    std::vector<Leaving> leaving;
    std::vector<std::shared_ptr<RequestSink>> started;
    {
      MutexLock lock(mu_);
      while (scheduler_.idle() && !stopping_ && !worker_died_) changed_.Wait(mu_);
      if (stopping_ || worker_died_) {
        why = absl::UnavailableError(stopping_ ? "the engine is draining" : "a worker died");
        return false;
      }
      now = absl::Now();
      cpu = ThreadCpuTime();
      for (const EndedSequence& ended : scheduler_.Sweep(now)) {
        leaving.push_back(LeaveLocked(ended));
      }
      GuessLocked();
      scheduler_.PlanStep(now, plan);
      for (const SequenceId id : plan.started) started.push_back(requests_.at(id).sink);
      tasks = TasksOfLocked(plan);
    }
    for (const auto& sink : started) sink->OnStart();
    for (const Leaving& request : leaving) request.sink->OnFinish(request.completion);
    if (!started.empty() || !leaving.empty()) NotifyLoad();
  }
  step_.schedule_time = absl::Now() - now;  // the wait for work not counted
  step_.schedule_cpu_time = ThreadCpuTime() - cpu;
  return true;
}

void Engine::AbortUnusableLocked(const StepPlan& plan, const StepResults& results) {
  const auto abort = [&](SequenceId id, const absl::Status& status) {
    if (status.ok()) return;
    Request& request = requests_.at(id);
    if (request.end_status.ok()) request.end_status = status;
    scheduler_.Abort(id);
  };
  for (size_t i = 0; i < results.prompt_rows.size(); ++i) {
    abort(plan.prompt_rows[i].sequence_id, results.prompt_rows[i].status());
  }
  for (size_t i = 0; i < results.rows.size(); ++i) {
    abort(plan.rows[i].sequence_id, results.rows[i].status);
  }
}

void Engine::CommitStep(const StepPlan& plan, StepResults results) {
  // By sequence: one delivery has all that a step gives to it. The youngest comes first: somebody
  // waits for its first token, and the others keep their distance from step to step.
  struct Delivery {
    std::shared_ptr<RequestSink> sink;
    TokenBatch tokens;
  };
  std::map<SequenceId, Delivery, std::greater<>> deliveries;
  std::vector<Leaving> leaving;
  {
    MutexLock lock(mu_);
    AbortUnusableLocked(plan, results);
    for (const StepPlan::Row& row : plan.rows) requests_.at(row.sequence_id).tokens_under_way = 0;
    for (size_t i = 0; i < results.prompt_rows.size(); ++i) {
      const SequenceId id = plan.prompt_rows[i].sequence_id;
      const Request& request = requests_.at(id);
      if (!request.end_status.ok()) continue;
      Delivery& delivery = deliveries[id];
      delivery.sink = request.sink;
      delivery.tokens.prompt_logprobs.push_back(*std::move(results.prompt_rows[i]));
    }
    std::vector<int32_t> token_ids;
    for (const StepResults::Row& row : results.rows) token_ids.push_back(row.token_id);
    const absl::Time now = absl::Now();
    const Scheduler::CommitResult committed = scheduler_.Commit(plan, token_ids, now);
    generated_tokens_ += static_cast<int64_t>(committed.tokens.size());
    step_.sampled_tokens = static_cast<int32_t>(committed.tokens.size());
    token_rate_.Add(static_cast<int64_t>(committed.tokens.size()), now);
    size_t row = 0;
    for (const Scheduler::Produced& produced : committed.tokens) {
      while (plan.rows[row].sequence_id != produced.sequence_id) ++row;  // dropped and void rows
      Delivery& delivery = deliveries[produced.sequence_id];
      delivery.sink = requests_.at(produced.sequence_id).sink;
      delivery.tokens.token_ids.push_back(produced.token_id);
      if (results.rows[row].logprobs.has_value()) {
        delivery.tokens.logprobs.push_back(*std::move(results.rows[row].logprobs));
      }
      ++row;
    }
    for (const EndedSequence& ended : committed.ended) leaving.push_back(LeaveLocked(ended));
  }
  for (auto& [id, delivery] : deliveries) delivery.sink->OnTokens(std::move(delivery.tokens));
  for (const Leaving& request : leaving) request.sink->OnFinish(request.completion);
  NotifyLoad();
}

Engine::Leaving Engine::LeaveLocked(const EndedSequence& ended) {
  const auto found = requests_.find(ended.sequence.id);
  Leaving leaving{.sink = std::move(found->second.sink), .completion = {}};
  Completion& completion = leaving.completion;
  completion.usage = UsageOf(ended.sequence);
  switch (ended.end) {
    case SequenceEnd::kStop:
      completion.reason = FinishReason::kStop;
      completion.stop_id = ended.sequence.output_ids.back();
      break;
    case SequenceEnd::kLength:
      completion.reason = FinishReason::kLength;
      break;
    case SequenceEnd::kAborted:
      completion.reason = FinishReason::kAbort;
      completion.status = found->second.end_status;
      break;
    case SequenceEnd::kExpired:
      completion.status = absl::DeadlineExceededError(absl::StrCat(
          "the deadline passed after ", ended.sequence.output_count(), " output tokens"));
      break;
  }
  by_request_id_.erase(found->second.request_id);
  requests_.erase(found);
  if (requests_.empty()) changed_.NotifyAll();  // Drain waits for that
  return leaving;
}

void Engine::EndAll(const absl::Status& status) {
  std::vector<Leaving> leaving;
  {
    MutexLock lock(mu_);
    // No request comes in between: Submit looks at the state under the same lock.
    if (state_ == EngineState::kServing) state_ = EngineState::kRestarting;
    for (Sequence& sequence : scheduler_.Clear()) {
      leaving.push_back(LeaveLocked({std::move(sequence), SequenceEnd::kAborted}));
      leaving.back().completion.status = status;
    }
  }
  for (const Leaving& request : leaving) request.sink->OnFinish(request.completion);
  NotifyLoad();
}

bool Engine::WaitToRestart(const absl::Status& why, absl::Duration uptime) {
  const absl::Duration wait = backoff_.Next(uptime);
  {
    MutexLock lock(mu_);
    if (stopping_ || state_ == EngineState::kDraining) return false;
    if (served_ || !IsPermanent(why)) {
      LOG(ERROR) << "lost the workers: " << why.message() << "; starting them again in "
                 << absl::FormatDuration(wait);
      const absl::Time until = absl::Now() + wait;
      while (!stopping_ && absl::Now() < until) {
        changed_.WaitFor(mu_, absl::ToChronoNanoseconds(until - absl::Now()));
      }
      return !stopping_;
    }
    failure_ = why;
  }
  SetState(EngineState::kFailed);
  return false;
}

bool Engine::SetState(EngineState state) {
  {
    MutexLock lock(mu_);
    // Nothing comes after draining, and nothing but draining after a failure.
    if (state_ == EngineState::kDraining) return false;
    if (state_ == EngineState::kFailed && state != EngineState::kDraining) return false;
    state_ = state;
    served_ |= state == EngineState::kServing;
    changed_.NotifyAll();
  }
  NotifyLoad();
  return true;
}

}  // namespace vallm::engine
