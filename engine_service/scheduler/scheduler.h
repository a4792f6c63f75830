// Decides what runs in the next step: continuous batching, chunked prefill, preemption.
//
// Rank. Sequences are ranked once, when they arrive: by arrival time plus priority times
// `priority_ageing`, the earlier first. Within a priority that is first come, first served; and who
// has waited that long ranks as somebody of the next better priority who has just come. Both the
// queue and the batch are in rank order.
//
// Admission. The head of the queue is admitted when a place in the batch is free and so are the KV
// blocks of all its tokens so far, with one spare block per running sequence. Nobody overtakes it.
// A sequence that waits never drives out one that runs.
//
// A step. Every sequence that is past its prompt gets its one token first. The rest of the token
// budget goes to prompts: each gets up to `long_prefill_token_threshold` tokens, then what is left
// goes to them in rank order. So a long prompt delays neither the tokens of others nor their short
// prompts, and uses the whole budget when nobody else needs it.
//
// Preemption. Tables grow block by block. When no block is left, the running sequence that ranks
// last gives up its blocks and goes back to the queue, to its place by rank, keeping its tokens;
// they are computed again (as far as the prefix cache has lost them) when it is admitted again.
//
// Progress. Let m rank first of all that live. If m runs, it is never preempted: only the last one
// is, and were m alone, all blocks would be its own or available, which is enough as CheckFits took
// nothing larger than the pool. And it runs in every step: its one token, or at least one token of
// its prompt, as the budget is no smaller than the batch. If m waits, it heads the queue, nobody is
// admitted before it, and by the same argument the running ones end one by one until it fits. So m
// ends after a bounded number of steps; and as later arrivals rank ahead of m for a bounded time
// only, so does everybody. (With infinite ageing priorities are strict, and the worse ones may wait
// as long as better ones keep coming.)
//
// The order of calls is Sweep, PlanStep, (the step runs), Commit, Sweep, … Submit, Abort and
// ResetPrefixCache may come between any two of them.
//
// Pure: touches no tensor, reads no clock (`now` is an argument). Not thread-safe.
#ifndef VALLM_ENGINE_SERVICE_SCHEDULER_SCHEDULER_H_
#define VALLM_ENGINE_SERVICE_SCHEDULER_SCHEDULER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine_service/scheduler/kv_manager.h"
#include "engine_service/scheduler/sequence.h"
#include "engine_service/scheduler/step_plan.h"

namespace vallm::engine {

struct SchedulerOptions {
  int32_t max_batch_size = 4;            // sequences that run together; >= 1
  int32_t max_num_batched_tokens = 512;  // token budget of a step; >= max_batch_size
  int32_t max_queue_size = 64;           // sequences that wait; >= 0
  int32_t max_model_len = 0;             // positions of one sequence; >= 2
  int32_t max_input_len = 0;             // prompt tokens of one sequence; in [1, max_model_len)
  int32_t num_kv_blocks = 0;             // >= 1
  int32_t block_size = 0;                // positions per block; >= 1
  // Rows of logits of a step; >= max_batch_size. What is beyond is for scoring prompts. Absent:
  // max_batch_size.
  std::optional<int32_t> max_logit_rows = {};
  // Tokens of a step that every prompt gets before any gets more; >= 1. Absent: such that these
  // shares take half of the budget at most.
  std::optional<int32_t> long_prefill_token_threshold = {};
  bool enable_prefix_caching = true;
  absl::Duration priority_ageing = absl::Minutes(1);  // > 0; infinite: priorities are strict
};

// Since the scheduler was made.
struct SchedulerCounters {
  int64_t prefix_queried_tokens = 0;  // tokens of sequences when they were first admitted
  int64_t prefix_hit_tokens = 0;      // of these, found in the prefix cache
  int64_t preemptions = 0;
  int64_t drafts = 0;                 // rows of guesses that were tried
  int64_t draft_tokens = 0;           // in them
  int64_t accepted_draft_tokens = 0;  // that held

  bool operator==(const SchedulerCounters&) const = default;
};

class Scheduler {
 public:
  // A token that Commit gave to a sequence.
  struct Produced {
    SequenceId sequence_id;
    int32_t token_id;
  };
  struct CommitResult {
    std::vector<Produced> tokens;      // in row order
    std::vector<EndedSequence> ended;  // by STOP or LENGTH
  };

  // REQUIRES (CHECKed): the ranges above.
  explicit Scheduler(const SchedulerOptions& options);
  ~Scheduler();

  // Whether a sequence of these lengths can ever run; depends on the options alone.
  // Errors: INVALID_ARGUMENT (no prompt, max_tokens < 1, prompt longer than max_input_len, prompt
  // and max_tokens longer than max_model_len or than the KV pool).
  absl::Status CheckFits(const SequenceSpec& spec) const;

  // Queues a sequence. Ids rise by one and are never used twice. Nothing changes on error.
  // REQUIRES: spec.max_tokens > spec.resumed_ids.size(): there is something left to generate.
  // Errors: those of CheckFits, RESOURCE_EXHAUSTED (the queue is full), DEADLINE_EXCEEDED (passed
  // already).
  absl::StatusOr<SequenceId> Submit(SequenceSpec spec, absl::Time now);

  // The sequence produces nothing more and the next Sweep ends it. Unknown ids are ignored: it may
  // have ended meanwhile.
  void Abort(SequenceId id);

  // What may follow the output of a sequence: the next step finds out, as far as nobody else wants
  // the room. It guesses nothing while prompts wait, and takes blocks, tokens and rows of logits
  // that are left. Unknown ids are ignored.
  void Guess(SequenceId id, std::span<const int32_t> token_ids);

  // Ends what was aborted or is past its deadline, waiting or running, and frees its blocks.
  // REQUIRES (CHECKed): the step planned before was committed.
  std::vector<EndedSequence> Sweep(absl::Time now);

  // Preempts and admits as need be and writes the next step to `plan`; an empty plan means there is
  // nothing to run. REQUIRES (CHECKed): the step planned before was committed.
  void PlanStep(absl::Time now, StepPlan& plan);

  // The planned step ran and row i decided for token_ids[i], or for nothing (kNoToken) as it is
  // void. Aborted sequences drop theirs. REQUIRES (CHECKed): `plan` is the one PlanStep wrote last,
  // token_ids.size() == rows.
  CommitResult Commit(const StepPlan& plan, std::span<const int32_t> token_ids, absl::Time now);

  // Drops everything, the prefix cache included, e.g. when the workers are gone with the KV memory;
  // a planned step need not be committed. Gives the sequences, queue order last.
  std::vector<Sequence> Clear();

  // Nothing computed so far is found by others any more. Sequences that run go on with what they
  // have, but share nothing further. Returns the number of blocks that were known.
  int32_t ResetPrefixCache() { return kv_.Reset(); }

  // The most blocks a sequence of that many prompt and output tokens holds. The last output token
  // needs no place: nothing ever attends to it.
  int32_t BlocksFor(int64_t prompt_count, int64_t max_tokens) const {
    return kv_.BlocksFor(prompt_count + max_tokens - 1);
  }

  // Null when it is not there (any more). Valid until the next call that is not const.
  const Sequence* Find(SequenceId id) const;

  const SchedulerOptions& options() const { return options_; }
  const SchedulerCounters& counters() const { return counters_; }
  int32_t num_running() const { return static_cast<int32_t>(running_.size()); }
  int32_t num_waiting() const { return static_cast<int32_t>(waiting_.size()); }
  // Those that hold cached prefixes and nothing else are free.
  int32_t num_free_blocks() const { return kv_.num_available(); }
  // The free ones that hold cached prefixes.
  int32_t num_cached_blocks() const { return kv_.num_idle(); }
  bool idle() const { return running_.empty() && waiting_.empty(); }
  // For checking who holds what.
  const KvManager& kv() const { return kv_; }
  std::span<const std::unique_ptr<Sequence>> running() const { return running_; }

 private:
  using Sequences = std::vector<std::unique_ptr<Sequence>>;

  bool RanksBefore(const Sequence& a, const Sequence& b) const;
  void InsertByRank(std::unique_ptr<Sequence> sequence, Sequences& into);
  void GrowTables();
  void PreemptLast();
  void AdmitWaiting();
  // Gives the sequence its blocks, or changes nothing that lasts.
  bool Admit(Sequence& sequence);
  void AddPrompts(const std::vector<Sequence*>& prompts, int32_t budget, StepPlan& plan) const;
  // How many tokens each prompt may run in one step for the sake of max_logit_rows.
  std::vector<int32_t> TokensForRows(const std::vector<Sequence*>& prompts) const;
  // With the first `guess_count` of its guesses behind it.
  void AddChunk(const Sequence& sequence, int32_t token_count, int32_t guess_count,
                StepPlan& plan) const;
  void AddDecodes(const std::vector<Sequence*>& decodes, int32_t spare_tokens, StepPlan& plan);
  // How many of its guesses the sequence may try; it gets the blocks for them.
  int32_t MakeRoomForGuesses(Sequence& sequence, int32_t limit);
  void Release(Sequence& sequence);

  // When the head of the queue was turned away: trying again before blocks come free is in vain.
  struct TurnedAway {
    SequenceId id = 0;
    int32_t free_blocks = 0;
    int32_t running = 0;
  };

  const SchedulerOptions options_;
  const int32_t prompt_share_;  // options_.long_prefill_token_threshold, or what it is by default
  KvManager kv_;
  SequenceId next_id_ = 1;
  bool step_planned_ = false;
  absl::Time last_arrival_ = absl::InfinitePast();
  Sequences waiting_;  // by rank
  Sequences running_;  // by rank
  std::unordered_map<SequenceId, Sequence*> by_id_;
  TurnedAway turned_away_;
  SchedulerCounters counters_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SCHEDULER_SCHEDULER_H_
