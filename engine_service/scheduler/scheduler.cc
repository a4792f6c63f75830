#include "engine_service/scheduler/scheduler.h"

#include <glog/logging.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

std::optional<SequenceEnd> WantsToEnd(const Sequence& sequence, absl::Time now) {
  if (sequence.aborted) return SequenceEnd::kAborted;
  if (sequence.spec.deadline <= now) return SequenceEnd::kExpired;
  return std::nullopt;
}

std::optional<SequenceEnd> EndAfterToken(const Sequence& sequence, int32_t token_id) {
  const std::vector<int32_t>& stop_ids = sequence.spec.stop_ids;
  if (std::find(stop_ids.begin(), stop_ids.end(), token_id) != stop_ids.end()) {
    return SequenceEnd::kStop;
  }
  if (sequence.output_count() >= sequence.spec.max_tokens) return SequenceEnd::kLength;
  return std::nullopt;
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options), pool_(options.num_kv_blocks) {
  CHECK_GE(options.max_batch_size, 1);
  CHECK_GE(options.max_num_batched_tokens, options.max_batch_size);
  CHECK_GE(options.max_queue_size, 0);
  CHECK_GE(options.max_model_len, 2);
  CHECK_GE(options.max_input_len, 1);
  CHECK_LT(options.max_input_len, options.max_model_len);
  CHECK_GE(options.num_kv_blocks, 1);
  CHECK_GE(options.block_size, 1);
}

Scheduler::~Scheduler() = default;

int32_t Scheduler::BlocksFor(int64_t prompt_count, int64_t max_tokens) const {
  const int64_t positions = prompt_count + max_tokens - 1;
  return static_cast<int32_t>((positions + options_.block_size - 1) / options_.block_size);
}

absl::Status Scheduler::CheckFits(const SequenceSpec& spec) const {
  const auto prompt_count = static_cast<int64_t>(spec.prompt_ids.size());
  if (prompt_count == 0) return absl::InvalidArgumentError("the prompt is empty");
  if (spec.max_tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_tokens is ", spec.max_tokens, "; it must be at least 1"));
  }
  if (prompt_count > options_.max_input_len) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the prompt has ", prompt_count, " tokens; the limit is ", options_.max_input_len));
  }
  const int64_t total = prompt_count + spec.max_tokens;
  if (total > options_.max_model_len) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", prompt_count, " tokens and max_tokens is ", spec.max_tokens,
                     ", together ", total, "; the model length is ", options_.max_model_len));
  }
  const int32_t blocks = BlocksFor(prompt_count, spec.max_tokens);
  if (blocks > pool_.num_blocks()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", prompt_count, " tokens and max_tokens is ", spec.max_tokens,
                     ", together ", blocks, " KV blocks of ", options_.block_size,
                     " positions; the pool has ", pool_.num_blocks()));
  }
  return absl::OkStatus();
}

absl::StatusOr<SequenceId> Scheduler::Submit(SequenceSpec spec, absl::Time now) {
  VALLM_RETURN_IF_ERROR(CheckFits(spec));
  CHECK_GT(static_cast<size_t>(spec.max_tokens), spec.resumed_ids.size());
  if (spec.deadline <= now) {
    return absl::DeadlineExceededError("the deadline had passed when the request arrived");
  }
  // A place in the batch that is free right now is as good as a place in the queue.
  const int32_t places =
      options_.max_queue_size + std::max(0, options_.max_batch_size - num_running());
  if (num_waiting() >= places) {
    return absl::ResourceExhaustedError(
        absl::StrCat(num_running(), " requests run and ", num_waiting(), " wait; the limits are ",
                     options_.max_batch_size, " and ", options_.max_queue_size));
  }
  auto sequence = std::make_unique<Sequence>();
  sequence->id = next_id_++;
  sequence->output_ids = spec.resumed_ids;
  sequence->spec = std::move(spec);
  sequence->arrival_time = now;
  by_id_[sequence->id] = sequence.get();
  waiting_.push_back(std::move(sequence));
  return waiting_.back()->id;
}

void Scheduler::Abort(SequenceId id) {
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) found->second->aborted = true;
}

void Scheduler::Release(Sequence& sequence) {
  pool_.Free(sequence.blocks);
  sequence.blocks.clear();
  by_id_.erase(sequence.id);
}

std::vector<EndedSequence> Scheduler::Sweep(absl::Time now) {
  CHECK(!step_planned_) << "a step is under way";
  std::vector<EndedSequence> ended;
  const auto sweep = [&](auto& sequences) {
    for (auto& sequence : sequences) {
      const std::optional<SequenceEnd> end = WantsToEnd(*sequence, now);
      if (!end.has_value()) continue;
      Release(*sequence);
      ended.push_back({std::move(*sequence), *end});
      sequence.reset();
    }
    std::erase(sequences, nullptr);
  };
  sweep(running_);
  sweep(waiting_);
  return ended;
}

void Scheduler::AdmitWaiting() {
  while (!waiting_.empty() && num_running() < options_.max_batch_size) {
    Sequence& next = *waiting_.front();
    auto blocks = pool_.Allocate(BlocksFor(next.prompt_count(), next.spec.max_tokens));
    // Nobody overtakes the head of the queue: what is smaller and younger waits behind it.
    if (!blocks.has_value()) return;
    next.blocks = *std::move(blocks);
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

void Scheduler::AddChunk(const Sequence& sequence, int32_t token_count, StepPlan& plan) const {
  const int32_t end = sequence.computed_count + token_count;
  const int32_t block_count = (end + options_.block_size - 1) / options_.block_size;
  const bool samples = end == sequence.token_count();
  plan.chunks.push_back({.token_begin = static_cast<int32_t>(plan.token_ids.size()),
                         .token_count = token_count,
                         .start_position = sequence.computed_count,
                         .block_begin = static_cast<int32_t>(plan.block_ids.size()),
                         .block_count = block_count,
                         .logit_count = samples ? 1 : 0});
  for (int32_t position = sequence.computed_count; position < end; ++position) {
    plan.token_ids.push_back(sequence.TokenAt(position));
  }
  plan.block_ids.insert(plan.block_ids.end(), sequence.blocks.begin(),
                        sequence.blocks.begin() + block_count);
  plan.sequence_ids.push_back(sequence.id);
  if (samples) plan.rows.push_back({sequence.id, sequence.output_count()});
}

void Scheduler::PlanStep(absl::Time now, StepPlan& plan) {
  CHECK(!step_planned_) << "the step planned before was not committed";
  plan.Clear();
  AdmitWaiting();

  int32_t budget = options_.max_num_batched_tokens;
  const auto remaining = [](const Sequence& s) { return s.token_count() - s.computed_count; };
  for (const auto& sequence : running_) {
    if (remaining(*sequence) != 1) continue;
    AddChunk(*sequence, 1, plan);
    --budget;
  }
  for (const auto& sequence : running_) {
    if (remaining(*sequence) == 1) continue;
    if (budget == 0) break;
    const int32_t count = std::min(budget, remaining(*sequence));
    AddChunk(*sequence, count, plan);
    budget -= count;
  }
  for (const SequenceId id : plan.sequence_ids) {
    Sequence& sequence = *by_id_.at(id);
    if (sequence.first_step_time.has_value()) continue;
    sequence.first_step_time = now;
    plan.started.push_back(id);
  }
  step_planned_ = !plan.empty();
}

Scheduler::CommitResult Scheduler::Commit(const StepPlan& plan, std::span<const int32_t> token_ids,
                                          absl::Time now) {
  CHECK(step_planned_) << "no step was planned";
  CHECK_EQ(token_ids.size(), plan.rows.size());
  step_planned_ = false;
  for (size_t i = 0; i < plan.chunks.size(); ++i) {
    by_id_.at(plan.sequence_ids[i])->computed_count += plan.chunks[i].token_count;
  }
  CommitResult result;
  for (size_t i = 0; i < plan.rows.size(); ++i) {
    Sequence& sequence = *by_id_.at(plan.rows[i].sequence_id);
    if (sequence.aborted) continue;
    sequence.output_ids.push_back(token_ids[i]);
    if (!sequence.first_token_time.has_value()) sequence.first_token_time = now;
    sequence.last_token_time = now;
    result.tokens.push_back({sequence.id, token_ids[i]});
    const std::optional<SequenceEnd> end = EndAfterToken(sequence, token_ids[i]);
    if (!end.has_value()) continue;
    Release(sequence);
    result.ended.push_back({std::move(sequence), *end});
    std::erase_if(running_, [&](const auto& running) { return running.get() == &sequence; });
  }
  return result;
}

std::vector<Sequence> Scheduler::Clear() {
  std::vector<Sequence> dropped;
  const auto drop = [&](auto& sequences) {
    for (auto& sequence : sequences) {
      Release(*sequence);
      dropped.push_back(std::move(*sequence));
    }
    sequences.clear();
  };
  drop(running_);
  drop(waiting_);
  step_planned_ = false;
  return dropped;
}

}  // namespace vallm::engine
