// One request's generation: gets a slot for each choice, runs its pipeline, and yields the events
// of all choices in the order they come.
//
// A choice whose instance dies, hangs or drains is moved: it goes on elsewhere, from the tokens so
// far and with the same seed, and yields what it would have yielded; move_policy.h says how often.
//
// Used by one thread, which blocks in Start and Next while it watches the client. The destructor
// cancels whatever still runs.
#ifndef VALLM_GATEWAY_GENERATION_GENERATION_H_
#define VALLM_GATEWAY_GENERATION_GENERATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/generation/event.h"
#include "gateway/generation/move_policy.h"
#include "gateway/generation/notice_queue.h"
#include "gateway/generation/token_pipeline.h"
#include "gateway/metrics.h"
#include "gateway/request_id.h"
#include "gateway/routing/instance_pool.h"
#include "tokenizer_service/bpe/token_table.h"
#include "tokenizer_service/output/output_parser.h"
#include "vallm/v1/engine.pb.h"

namespace vallm::gateway {

struct GenerationSpec {
  // Names the request at the services; unique in this gateway.
  std::string id;
  RequestId request_id;
  struct Choice {
    std::vector<int32_t> prompt_token_ids;
    tokenizer::PromptThinkState prompt_think_state = tokenizer::PromptThinkState::kNone;
    int64_t seed = 0;
    int32_t max_tokens = 1;
  };
  std::vector<Choice> choices;  // those with one prompt in a row
  int choices_per_prompt = 1;
  // Without prompt, seed and max_tokens, which come from the choice.
  v1::SamplingParams sampling;
  v1::StopConditions stop;
  std::optional<v1::OutputConstraint> constraint;
  std::optional<int32_t> thinking_token_budget;
  std::optional<int32_t> prompt_lookup_num_tokens;
  std::optional<int32_t> top_logprobs;  // beside each token's own; absent: no log-probabilities
  // The same for the prompt; the first choice of each prompt has them.
  std::optional<int32_t> prompt_top_logprobs;
  std::string cache_salt;
  int32_t priority = 0;             // lower comes earlier, here and in the engine
  bool background = false;          // comes after everybody else, here
  std::optional<uint64_t> session;  // SlotRequest's
  tokenizer::OutputOptions output;  // without prompt_think_state, which comes from the choice
  bool return_token_ids = false;    // events have their token_ids
  // The events are wanted all at once, at the end.
  bool whole = false;
};

struct GenerationOptions {
  MoveLimits moves;
  // A run is given up when for so long neither the request nor anybody else on its instance has
  // made progress; an instance that does not even answer is given up sooner.
  absl::Duration stall_timeout = absl::Seconds(30);
};

// What is known about a generation for its headers and its log line.
struct GenerationStats {
  std::string instance;                // of the first choice that got one
  std::vector<std::string> instances;  // all that were used, in this order
  absl::Duration queued;               // until the first slot
  absl::Time started;
  std::optional<absl::Time> first_token;
  std::string finish_reason;   // of the last choice that finished
  TokenUsage usage;            // of the choices that have finished; without prompt_tokens
  int64_t longest_choice = 0;  // of these, in tokens
  int64_t token_count = 0;     // of all choices, up to now
  int moves = 0;               // of all choices, to another instance or back to their own
};

class Generation {
 public:
  // `pool` and `metrics` must outlive it. `keep_going` is asked several times a
  // second, and soon after a call of waker(); what it returns other than OK ends the generation:
  // CANCELLED when the client went.
  Generation(InstancePool& pool, std::shared_ptr<const tokenizer::TokenTable> texts,
             GatewayMetrics& metrics, const GenerationOptions& options, GenerationSpec spec,
             std::function<absl::Status()> keep_going);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // Waits until the first choice has begun: a token came, or the engine has taken the request and
  // is at work; or for `patience`. Call once, first. Errors: why it has not begun.
  absl::Status Start(absl::Duration patience = absl::InfiniteDuration());

  // Takes events, none of which ends a choice, on the thread that brings them, while the request's
  // own thread waits in Next. Must not block. False: it has taken them, and Next is to return.
  using Delivery = std::function<bool(std::vector<GenerationEvent>)>;
  // From now on; null: not any more. Not for a generation that is wanted whole.
  void SetDelivery(Delivery delivery);

  // The next events that were not delivered, or all of them if the spec says `whole`; none when all
  // choices have finished (see done), or the delivery has asked for it. Errors: why the generation
  // ended early; call no more then.
  absl::StatusOr<std::vector<GenerationEvent>> Next();
  // Ends what still runs. stats() then counts all tokens that were generated, those too that nobody
  // has been told of. Call nothing else afterwards.
  void GiveUp();
  // Has keep_going asked soon. For any thread, also when the generation is gone.
  std::function<void()> waker() const;
  // Whether all choices have finished.
  bool done() const { return unfinished_ == 0; }

  const GenerationStats& stats() const { return stats_; }
  // Those of all choices, for calls about the answer. After Start.
  std::vector<std::shared_ptr<TokenPipeline>> pipelines() const;

 private:
  struct Choice;

  std::shared_ptr<const PromptBlocks> BlocksOf(Choice& choice);
  // Asks for a slot; with `moved` ahead of all that have not run yet.
  absl::Status AskForSlot(Choice& choice, bool moved);
  // Looks after a choice: what is due, what takes too long.
  absl::Status Tend(Choice& choice, absl::Time now);
  absl::Status TendRun(Choice& choice, const PipelineState& state, absl::Time now);
  // Waits for notices, at the longest until `until`, and deals with them; events are appended to
  // events_.
  absl::Status Step(absl::Time until = absl::InfiniteFuture());
  absl::Status Deal(Notice notice);
  // What the queue's deputy does: tokens in the middle of an answer go to the delivery.
  NoticeQueue::Verdict DealAsDeputy(std::vector<Notice>& notices);
  absl::Status OnSlot(Choice& choice, SlotNotice notice);
  absl::Status OnRunEnded(Choice& choice, const RunEndedNotice& notice);
  // Does what the policy has decided about a choice that lost its instance, and tells the log and
  // the metrics. `ask`: for a slot, if it is to run again. Errors: why it is not.
  absl::Status MoveOn(Choice& choice, MoveReason reason, const MovePolicy::Decision& decision,
                      std::string_view why, bool ask = true);
  double Jitter();
  void OnTokens(Choice& choice, TokensNotice notice);
  void OnFinish(Choice& choice, const GenerationEvent& event);

  InstancePool& pool_;
  const std::shared_ptr<const tokenizer::TokenTable> texts_;
  GatewayMetrics& metrics_;
  const GenerationOptions options_;
  const GenerationSpec spec_;
  const std::function<absl::Status()> keep_going_;
  const std::shared_ptr<NoticeQueue> queue_;
  std::vector<Choice> choices_;
  int unfinished_ = 0;
  std::optional<absl::Time> admitted_;
  absl::Time last_poll_;
  std::vector<GenerationEvent> events_;
  Delivery delivery_;                    // while it is set, the deputy deals with tokens
  bool interrupted_ = false;             // the delivery wants Next to return
  std::optional<std::mt19937_64> dice_;  // of back-offs; few requests need one, and it is dear
  absl::Status ended_;                   // why Next has no more to give, once it is an error
  GenerationStats stats_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_GENERATION_H_
