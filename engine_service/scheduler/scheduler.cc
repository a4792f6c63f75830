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

int32_t PromptShare(const SchedulerOptions& options) {
  return options.long_prefill_token_threshold.value_or(
      std::max(1, options.max_num_batched_tokens / (2 * options.max_batch_size)));
}

int32_t Remaining(const Sequence& sequence) {
  return sequence.token_count() - sequence.computed_count;
}

// Whether positions below `end` have logits that predict a prompt token and that are still wanted.
bool UnscoredBelow(const Sequence& sequence, int32_t end) {
  return sequence.spec.scores_prompt && sequence.scored_count < end &&
         sequence.scored_count + 1 < sequence.prompt_count();
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options),
      prompt_share_(PromptShare(options)),
      kv_(options.num_kv_blocks, options.block_size, options.enable_prefix_caching) {
  CHECK_GE(options.max_batch_size, 1);
  CHECK_GE(options.max_num_batched_tokens, options.max_batch_size);
  CHECK_GE(options.max_queue_size, 0);
  CHECK_GE(options.max_model_len, 2);
  CHECK_GE(options.max_input_len, 1);
  CHECK_LT(options.max_input_len, options.max_model_len);
  CHECK_GE(options.num_kv_blocks, 1);
  CHECK_GE(prompt_share_, 1);
  CHECK_GE(options.max_logit_rows.value_or(options.max_batch_size), options.max_batch_size);
  CHECK_GT(options.priority_ageing, absl::ZeroDuration());
}

Scheduler::~Scheduler() = default;

bool Scheduler::RanksBefore(const Sequence& a, const Sequence& b) const {
  if (a.spec.priority == b.spec.priority) return a.id < b.id;
  const absl::Duration ageing = options_.priority_ageing;
  if (ageing == absl::InfiniteDuration()) return a.spec.priority < b.spec.priority;
  const absl::Time rank_of_a = a.arrival_time + a.spec.priority * ageing;
  const absl::Time rank_of_b = b.arrival_time + b.spec.priority * ageing;
  if (rank_of_a != rank_of_b) return rank_of_a < rank_of_b;
  return a.spec.priority < b.spec.priority;
}

void Scheduler::InsertByRank(std::unique_ptr<Sequence> sequence, Sequences& into) {
  const auto place =
      std::upper_bound(into.begin(), into.end(), sequence,
                       [this](const auto& a, const auto& b) { return RanksBefore(*a, *b); });
  into.insert(place, std::move(sequence));
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
  if (blocks > kv_.num_blocks()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", prompt_count, " tokens and max_tokens is ", spec.max_tokens,
                     ", together ", blocks, " KV blocks of ", options_.block_size,
                     " positions; the pool has ", kv_.num_blocks()));
  }
  return absl::OkStatus();
}

absl::StatusOr<SequenceId> Scheduler::Submit(SequenceSpec spec, absl::Time now) {
  VALLM_RETURN_IF_ERROR(CheckFits(spec));
  CHECK_GT(static_cast<size_t>(spec.max_tokens), spec.resumed_ids.size());
  CHECK(!spec.scores_prompt || (spec.computes_all && spec.resumed_ids.empty()));
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
  // Clocks may be set back; who came first stays first.
  last_arrival_ = sequence->arrival_time = std::max(last_arrival_, now);
  const SequenceId id = sequence->id;
  by_id_[id] = sequence.get();
  InsertByRank(std::move(sequence), waiting_);
  return id;
}

const Sequence* Scheduler::Find(SequenceId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

void Scheduler::Abort(SequenceId id) {
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) found->second->aborted = true;
}

void Scheduler::Guess(SequenceId id, std::span<const int32_t> token_ids) {
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) found->second->guessed_ids.assign(token_ids.begin(), token_ids.end());
}

void Scheduler::Release(Sequence& sequence) {
  kv_.Release(sequence);
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

void Scheduler::PreemptLast() {
  std::unique_ptr<Sequence> last = std::move(running_.back());
  running_.pop_back();
  kv_.Release(*last);
  ++last->preemption_count;
  ++counters_.preemptions;
  InsertByRank(std::move(last), waiting_);
}

void Scheduler::GrowTables() {
  for (size_t i = 0; i < running_.size(); ++i) {
    while (i < running_.size() && !kv_.Cover(*running_[i], running_[i]->token_count())) {
      PreemptLast();
    }
  }
}

bool Scheduler::Admit(Sequence& sequence) {
  kv_.SkipKnown(sequence);
  const int32_t missing =
      kv_.BlocksFor(sequence.token_count()) - static_cast<int32_t>(sequence.table.blocks.size());
  // The spare blocks keep it from driving others out, or being driven out, in the next few steps.
  if (missing + num_running() > kv_.num_available()) {
    kv_.Release(sequence);
    return false;
  }
  CHECK(kv_.Cover(sequence, sequence.token_count()));
  if (sequence.cached_prompt_count.has_value()) return true;
  sequence.cached_prompt_count = std::min(sequence.computed_count, sequence.prompt_count());
  counters_.prefix_queried_tokens += sequence.token_count();
  counters_.prefix_hit_tokens += sequence.computed_count;
  return true;
}

void Scheduler::AdmitWaiting() {
  while (!waiting_.empty() && num_running() < options_.max_batch_size) {
    Sequence& next = *waiting_.front();
    const TurnedAway now{next.id, kv_.num_available(), num_running()};
    if (turned_away_.id == now.id && now.free_blocks <= turned_away_.free_blocks &&
        now.running >= turned_away_.running) {
      return;
    }
    if (!Admit(next)) {
      turned_away_ = now;
      return;
    }
    std::unique_ptr<Sequence> admitted = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    InsertByRank(std::move(admitted), running_);
  }
}

void Scheduler::AddChunk(const Sequence& sequence, int32_t token_count, int32_t guess_count,
                         StepPlan& plan) const {
  const int32_t known_end = sequence.computed_count + token_count;
  const int32_t end = known_end + guess_count;
  const int32_t block_count = kv_.BlocksFor(end);
  const bool samples = known_end == sequence.token_count();
  // Positions [first_row, end) want their logits.
  int32_t first_row = samples ? known_end - 1 : known_end;
  if (UnscoredBelow(sequence, known_end)) {
    first_row = std::max(sequence.computed_count, sequence.scored_count);
  }
  plan.chunks.push_back({.token_begin = static_cast<int32_t>(plan.token_ids.size()),
                         .token_count = end - sequence.computed_count,
                         .start_position = sequence.computed_count,
                         .block_begin = static_cast<int32_t>(plan.block_ids.size()),
                         .block_count = block_count,
                         .logit_count = end - first_row});
  for (int32_t position = sequence.computed_count; position < known_end; ++position) {
    plan.token_ids.push_back(sequence.TokenAt(position));
  }
  const std::span<const int32_t> guesses =
      std::span(sequence.guessed_ids).first(static_cast<size_t>(guess_count));
  plan.token_ids.insert(plan.token_ids.end(), guesses.begin(), guesses.end());
  const std::vector<int32_t>& blocks = sequence.table.blocks;
  plan.block_ids.insert(plan.block_ids.end(), blocks.begin(), blocks.begin() + block_count);
  plan.sequence_ids.push_back(sequence.id);
  auto logit_row = static_cast<int32_t>(plan.rows.size() + plan.prompt_rows.size());
  for (int32_t position = first_row; position + 1 < sequence.prompt_count() && position < known_end;
       ++position) {
    plan.prompt_rows.push_back({sequence.id, sequence.TokenAt(position + 1), logit_row++});
  }
  if (!samples) return;
  int32_t output_position = sequence.output_count();
  for (const int32_t guess : guesses) {
    plan.rows.push_back({sequence.id, output_position++, logit_row++, guess});
  }
  plan.rows.push_back({sequence.id, output_position, logit_row});
}

int32_t Scheduler::MakeRoomForGuesses(Sequence& sequence, int32_t limit) {
  const std::vector<int32_t>& stop_ids = sequence.spec.stop_ids;
  // Nothing follows a stop id, nor the last token that there may be.
  const auto stop = std::find_first_of(sequence.guessed_ids.begin(), sequence.guessed_ids.end(),
                                       stop_ids.begin(), stop_ids.end());
  int32_t count = std::min({limit, static_cast<int32_t>(stop - sequence.guessed_ids.begin()),
                            sequence.spec.max_tokens - sequence.output_count() - 1});
  // As in Admit, the spare blocks keep the next few steps from driving anybody out.
  const int32_t blocks = static_cast<int32_t>(sequence.table.blocks.size()) +
                         std::max(0, kv_.num_available() - num_running());
  while (count > 0 && kv_.BlocksFor(sequence.token_count() + count) > blocks) --count;
  if (count <= 0) return 0;
  CHECK(kv_.Cover(sequence, sequence.token_count() + count));
  return count;
}

void Scheduler::AddDecodes(const std::vector<Sequence*>& decodes, int32_t spare_tokens,
                           StepPlan& plan) {
  int32_t spare = std::min(
      spare_tokens, options_.max_logit_rows.value_or(options_.max_batch_size) - num_running());
  auto others = static_cast<int32_t>(decodes.size());
  for (Sequence* sequence : decodes) {
    // An even share of what those before it have left.
    const int32_t guess_count = MakeRoomForGuesses(*sequence, spare / others--);
    spare -= guess_count;
    AddChunk(*sequence, 1, guess_count, plan);
  }
}

std::vector<int32_t> Scheduler::TokensForRows(const std::vector<Sequence*>& prompts) const {
  // Every sequence has a row in any case: the one that its next token is drawn from, or one more of
  // its prompt.
  int32_t spare = options_.max_logit_rows.value_or(options_.max_batch_size) - num_running();
  std::vector<int32_t> limits;
  for (const Sequence* prompt : prompts) {
    limits.push_back(Remaining(*prompt));
    if (!UnscoredBelow(*prompt, prompt->prompt_count())) continue;
    const int32_t scored = std::max(0, prompt->scored_count - prompt->computed_count);
    const int32_t rows = std::min(Remaining(*prompt) - scored, spare + 1);
    limits.back() = scored + rows;
    spare -= rows - 1;
  }
  return limits;
}

void Scheduler::AddPrompts(const std::vector<Sequence*>& prompts, int32_t budget,
                           StepPlan& plan) const {
  const std::vector<int32_t> limits = TokensForRows(prompts);
  std::vector<int32_t> counts;
  for (const int32_t limit : limits) {
    counts.push_back(std::min({limit, prompt_share_, budget}));
    budget -= counts.back();
  }
  for (size_t i = 0; i < prompts.size(); ++i) {
    const int32_t more = std::min(limits[i] - counts[i], budget);
    budget -= more;
    if (counts[i] + more > 0) AddChunk(*prompts[i], counts[i] + more, 0, plan);
  }
}

void Scheduler::PlanStep(absl::Time now, StepPlan& plan) {
  CHECK(!step_planned_) << "the step planned before was not committed";
  plan.Clear();
  GrowTables();
  AdmitWaiting();

  std::vector<Sequence*> decodes;
  std::vector<Sequence*> prompts;
  for (const auto& sequence : running_) {
    // Somebody else may have computed the same prompt meanwhile.
    if (Remaining(*sequence) > 1) kv_.SkipKnown(*sequence);
    (Remaining(*sequence) > 1 ? prompts : decodes).push_back(sequence.get());
  }
  const int32_t budget = options_.max_num_batched_tokens - static_cast<int32_t>(decodes.size());
  AddDecodes(decodes, prompts.empty() && waiting_.empty() ? budget : 0, plan);
  AddPrompts(prompts, budget, plan);
  for (const auto& sequence : running_) sequence->guessed_ids.clear();
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
    Sequence& sequence = *by_id_.at(plan.sequence_ids[i]);
    const int32_t known_count =
        std::min(plan.chunks[i].token_count, Remaining(sequence));  // the rest was guessed
    const int32_t guess_count = plan.chunks[i].token_count - known_count;
    sequence.draft_count += guess_count;
    counters_.draft_tokens += guess_count;
    counters_.drafts += guess_count > 0 ? 1 : 0;
    sequence.computed_count += known_count;
    if (sequence.spec.scores_prompt) {
      sequence.scored_count = std::max(sequence.scored_count, sequence.computed_count);
    }
    kv_.Share(sequence);
  }
  CommitResult result;
  for (size_t i = 0; i < plan.rows.size(); ++i) {
    if (token_ids[i] == kNoToken) continue;
    Sequence& sequence = *by_id_.at(plan.rows[i].sequence_id);
    if (sequence.aborted) continue;
    // A row behind another one of the sequence counts because what was guessed there has held: that
    // token is computed already.
    if (i > 0 && plan.rows[i - 1].sequence_id == sequence.id) {
      ++sequence.computed_count;
      ++sequence.accepted_draft_count;
      ++counters_.accepted_draft_tokens;
      kv_.Share(sequence);
    }
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
  kv_.Reset();
  step_planned_ = false;
  return dropped;
}

}  // namespace vallm::engine
