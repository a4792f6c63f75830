#include "gateway/generation/generation.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"

namespace vallm::gateway {
namespace {

// How often the instances of the runs are looked at, and whether to keep going. With thousands of
// streams that is what they cost while nothing happens.
constexpr absl::Duration kPollInterval = absl::Milliseconds(250);
// How long after the engine has taken the request its first token is waited for before the answer
// begins without it. A refusal or a death this soon is still answered with its HTTP status.
constexpr absl::Duration kFirstTokenGrace = absl::Milliseconds(250);
// How long a run may say nothing on an instance that does not answer.
constexpr absl::Duration kSilentGrace = absl::Seconds(1);
// How often a slot is looked for to leave an instance that drains.
constexpr absl::Duration kDrainRetry = absl::Seconds(1);

v1::GenerateRequest EngineRequest(const GenerationSpec& spec, size_t index) {
  const GenerationSpec::Choice& choice = spec.choices[index];
  v1::GenerateRequest request;
  request.set_request_id(spec.choices.size() == 1 ? spec.id : absl::StrCat(spec.id, "-", index));
  request.mutable_prompt_token_ids()->mutable_ids()->Add(choice.prompt_token_ids.begin(),
                                                         choice.prompt_token_ids.end());
  *request.mutable_sampling() = spec.sampling;
  request.mutable_sampling()->set_seed(choice.seed);
  *request.mutable_stop() = spec.stop;
  request.mutable_stop()->set_max_tokens(choice.max_tokens);
  request.set_cache_salt(spec.cache_salt);
  request.set_priority(spec.priority);
  if (spec.constraint) *request.mutable_constraint() = *spec.constraint;
  if (spec.thinking_token_budget) {
    request.mutable_thinking()->set_token_budget(*spec.thinking_token_budget);
  }
  if (spec.prompt_lookup_num_tokens) {
    request.mutable_speculation()->set_num_speculative_tokens(*spec.prompt_lookup_num_tokens);
  }
  if (spec.top_logprobs) request.mutable_logprobs()->set_top_count(*spec.top_logprobs);
  if (spec.prompt_top_logprobs && index % static_cast<size_t>(spec.choices_per_prompt) == 0) {
    request.mutable_prompt_logprobs()->set_top_count(*spec.prompt_top_logprobs);
  }
  return request;
}

}  // namespace

struct Generation::Choice {
  Choice(int choice_index, const MoveLimits& limits) : index(choice_index), moves(limits) {}

  int index;
  std::shared_ptr<TokenPipeline> pipeline;
  std::optional<InstancePool::Ticket> ticket;          // while it waits for a slot
  std::optional<int> instance;                         // that it runs on or ran on last
  std::shared_ptr<const InstanceCondition> condition;  // of that instance
  std::optional<int> avoid;                            // where it had better not run next
  std::string instance_name;
  std::shared_ptr<const PromptBlocks> blocks;  // of the prompt, in its first choice; maybe null
  int make = 0;                                // of that instance
  int run = 0;                                 // the pipeline's count
  MovePolicy moves;
  // When to ask for a slot after a back-off.
  absl::Time run_time = absl::InfiniteFuture();
  // Not before then is a slot asked for because the instance drains.
  absl::Time drain_time = absl::InfinitePast();
  int token_count = 0;  // counted in stats_
  std::optional<absl::Time> last_token;
};

Generation::Generation(InstancePool& pool, std::shared_ptr<const tokenizer::TokenTable> texts,
                       GatewayMetrics& metrics, const GenerationOptions& options,
                       GenerationSpec spec, std::function<absl::Status()> keep_going)
    : pool_(pool),
      texts_(std::move(texts)),
      metrics_(metrics),
      options_(options),
      spec_(std::move(spec)),
      keep_going_(std::move(keep_going)),
      queue_(std::make_shared<NoticeQueue>()),
      unfinished_(static_cast<int>(spec_.choices.size())),
      last_poll_(absl::Now()) {
  stats_.started = absl::Now();
}

Generation::~Generation() {
  GiveUp();
  queue_->Close();
}

void Generation::GiveUp() {
  for (Choice& choice : choices_) {
    if (choice.ticket.has_value()) pool_.Withdraw(*std::exchange(choice.ticket, std::nullopt));
    if (choice.pipeline == nullptr) continue;
    choice.pipeline->Cancel();
    const int untold = choice.pipeline->token_count() - choice.token_count;
    if (untold <= 0) continue;
    choice.token_count += untold;
    stats_.token_count += untold;
    metrics_.CountGenerationTokens(untold);
  }
}

absl::Status Generation::Start(absl::Duration patience) {
  choices_.reserve(spec_.choices.size());
  for (size_t i = 0; i < spec_.choices.size(); ++i) {
    Choice& choice = choices_.emplace_back(static_cast<int>(i), options_.moves);
    PipelineSpec pipeline = {.choice = choice.index,
                             .request_id = spec_.request_id,
                             .engine_request = EngineRequest(spec_, i),
                             .parser = nullptr,
                             .whole = spec_.whole};
    tokenizer::OutputOptions output = spec_.output;
    output.prompt_think_state = spec_.choices[i].prompt_think_state;
    VALLM_ASSIGN_OR_RETURN(
        pipeline.parser,
        AnswerParser::Create(choice.index, texts_, std::move(output), spec_.return_token_ids));
    choice.pipeline = TokenPipeline::Create(std::move(pipeline), queue_);
    VALLM_RETURN_IF_ERROR(AskForSlot(choice, /*moved=*/false));
  }
  for (;;) {
    const absl::Time admitted = admitted_.value_or(absl::InfiniteFuture());
    const absl::Time until = std::min(admitted + kFirstTokenGrace, stats_.started + patience);
    if (stats_.first_token.has_value() || absl::Now() >= until) return absl::OkStatus();
    VALLM_RETURN_IF_ERROR(Step(until));
  }
}

std::vector<std::shared_ptr<TokenPipeline>> Generation::pipelines() const {
  std::vector<std::shared_ptr<TokenPipeline>> pipelines;
  for (const Choice& choice : choices_) pipelines.push_back(choice.pipeline);
  return pipelines;
}

absl::StatusOr<std::vector<GenerationEvent>> Generation::Next() {
  while ((events_.empty() || spec_.whole) && unfinished_ > 0 && ended_.ok() &&
         !std::exchange(interrupted_, false)) {
    ended_ = Step();
  }
  // What came before the end is still delivered, unless it is of use only as a whole.
  if ((events_.empty() || spec_.whole) && !ended_.ok()) return ended_;
  return std::exchange(events_, {});
}

void Generation::SetDelivery(Delivery delivery) {
  delivery_ = std::move(delivery);
  queue_->SetDeputy(delivery_ == nullptr
                        ? NoticeQueue::Deputy()
                        : [this](std::vector<Notice>& notices) { return DealAsDeputy(notices); });
}

NoticeQueue::Verdict Generation::DealAsDeputy(std::vector<Notice>& notices) {
  for (const Notice& notice : notices) {
    const auto* tokens = std::get_if<TokensNotice>(&notice.what);
    if (tokens == nullptr) return NoticeQueue::Verdict::kNotMine;
    for (const GenerationEvent& event : tokens->events) {
      if (event.kind == GenerationEvent::Kind::kFinish) return NoticeQueue::Verdict::kNotMine;
    }
  }
  for (Notice& notice : notices) {
    OnTokens(choices_[notice.choice], std::get<TokensNotice>(std::move(notice.what)));
  }
  if (events_.empty()) return NoticeQueue::Verdict::kDone;
  if (delivery_(std::exchange(events_, {}))) return NoticeQueue::Verdict::kDone;
  interrupted_ = true;
  return NoticeQueue::Verdict::kThreadNeeded;
}

absl::Status Generation::AskForSlot(Choice& choice, bool moved) {
  SlotRequest request;
  request.avoid = choice.avoid;
  // A token may still come before a drained run is left, so it counts that there is a run at all.
  const PipelineState state = choice.pipeline->state();
  if (state.begun || state.runs) request.make = choice.make;
  request.moved = moved;
  request.priority = spec_.priority;
  request.background = spec_.background;
  request.session = spec_.session;
  request.prompt = BlocksOf(choice);
  if (moved) request.patience = choice.moves.patience(absl::Now());
  auto granted = [queue = queue_, index = choice.index](absl::StatusOr<InstancePool::Lease> lease) {
    queue->Push({index, SlotNotice{std::move(lease)}});
    queue->Deliver();
  };
  absl::StatusOr<InstancePool::Ticket> ticket = pool_.Acquire(request, std::move(granted));
  if (!ticket.ok()) return WithRetryAfter(ticket.status(), pool_.ExpectedWait());
  choice.ticket = *ticket;
  return absl::OkStatus();
}

// Those of one prompt share them.
std::shared_ptr<const PromptBlocks> Generation::BlocksOf(Choice& choice) {
  Choice& first = choices_[choice.index - choice.index % spec_.choices_per_prompt];
  if (first.blocks == nullptr) {
    first.blocks = pool_.BlocksOf(spec_.choices[first.index].prompt_token_ids, spec_.cache_salt);
  }
  return first.blocks;
}

absl::Status Generation::Step(absl::Time until) {
  absl::Time tend_time = last_poll_ + kPollInterval;
  for (const Choice& choice : choices_) tend_time = std::min(tend_time, choice.run_time);
  const absl::Duration wait = std::min(until, tend_time) - absl::Now();
  for (Notice& notice :
       queue_->Take(absl::ToChronoNanoseconds(std::max(wait, absl::ZeroDuration())))) {
    VALLM_RETURN_IF_ERROR(Deal(std::move(notice)));
  }
  const absl::Time now = absl::Now();
  if (queue_->WasWoken() || now >= tend_time) {
    last_poll_ = now;
    VALLM_RETURN_IF_ERROR(keep_going_());
    for (Choice& choice : choices_) VALLM_RETURN_IF_ERROR(Tend(choice, now));
  }
  return absl::OkStatus();
}

std::function<void()> Generation::waker() const {
  return [queue = queue_] { queue->Wake(); };
}

absl::Status Generation::Tend(Choice& choice, absl::Time now) {
  const PipelineState state = choice.pipeline->state();
  if (choice.run_time <= now) {
    choice.run_time = absl::InfiniteFuture();
    return AskForSlot(choice, /*moved=*/true);
  }
  return state.runs && !state.complete ? TendRun(choice, state, now) : absl::OkStatus();
}

absl::Status Generation::TendRun(Choice& choice, const PipelineState& state, absl::Time now) {
  const InstanceCondition& condition = *choice.condition;
  const absl::Duration quiet = now - state.quiet_since;
  if (condition.silent && quiet > kSilentGrace) {
    choice.pipeline->AbandonRun();
    choice.moves.OnRunEnded(state.yielded);
    return MoveOn(choice, MoveReason::kStalled, choice.moves.OnDeath(state.taken, now, Jitter()),
                  "does not answer");
  }
  const bool stalled =
      quiet > options_.stall_timeout && now - condition.last_progress() > options_.stall_timeout;
  if (stalled && choice.moves.MayLeaveStalled(state.yielded)) {
    choice.pipeline->AbandonRun();
    choice.moves.OnRunEnded(state.yielded);
    return MoveOn(choice, MoveReason::kStalled, MovePolicy::Decision(), "makes no progress");
  }
  // The run goes on meanwhile, and to its end if there is no other instance.
  if (condition.draining && !choice.ticket.has_value() && now >= choice.drain_time) {
    choice.drain_time = now + kDrainRetry;
    return AskForSlot(choice, /*moved=*/true);
  }
  return absl::OkStatus();
}

absl::Status Generation::Deal(Notice notice) {
  Choice& choice = choices_[notice.choice];
  if (auto* slot = std::get_if<SlotNotice>(&notice.what)) return OnSlot(choice, std::move(*slot));
  if (auto* ended = std::get_if<RunEndedNotice>(&notice.what)) return OnRunEnded(choice, *ended);
  if (auto* failed = std::get_if<ParsingFailedNotice>(&notice.what)) return failed->status;
  if (auto* tokens = std::get_if<TokensNotice>(&notice.what)) {
    OnTokens(choice, std::move(*tokens));
  } else if (!admitted_.has_value()) {
    admitted_ = absl::Now();
  }
  return absl::OkStatus();
}

absl::Status Generation::OnSlot(Choice& choice, SlotNotice notice) {
  choice.ticket.reset();
  const PipelineState state = choice.pipeline->state();
  // It has asked because its instance drains, and has finished there or can.
  if (state.complete || (state.runs && !notice.lease.ok())) return absl::OkStatus();
  // Nor does it move to where it is: that one does not drain any more.
  if (state.runs && notice.lease->instance() == choice.instance) return absl::OkStatus();
  if (!notice.lease.ok()) {
    if (!choice.instance.has_value()) return notice.lease.status();
    return absl::UnavailableError(
        absl::StrCat("the instance that served the request became unavailable; ",
                     notice.lease.status().message()));
  }
  if (state.runs) {
    choice.drain_time = absl::InfinitePast();
    choice.moves.OnRunEnded(/*yielded=*/true);  // whatever comes now has nothing to do with it
    VALLM_RETURN_IF_ERROR(
        MoveOn(choice, MoveReason::kDrained, MovePolicy::Decision(), "drains", /*ask=*/false));
  }
  choice.instance = notice.lease->instance();
  choice.condition = notice.lease->condition();
  choice.instance_name = notice.lease->name();
  choice.make = notice.lease->make();
  metrics_.CountRouting(notice.lease->choice().reason, notice.lease->choice().matched_tokens,
                        static_cast<int64_t>(spec_.choices[choice.index].prompt_token_ids.size()));
  if (stats_.instance.empty()) {
    stats_.queued = absl::Now() - stats_.started;
    metrics_.ObserveQueueTime(stats_.queued);
  }
  if (stats_.instance.empty() || choice.index == 0) stats_.instance = choice.instance_name;
  if (std::find(stats_.instances.begin(), stats_.instances.end(), choice.instance_name) ==
      stats_.instances.end()) {
    stats_.instances.push_back(choice.instance_name);
  }
  choice.run = choice.pipeline->Run(*std::move(notice.lease));
  return absl::OkStatus();
}

absl::Status Generation::OnRunEnded(Choice& choice, const RunEndedNotice& notice) {
  if (notice.end == RunEnd::kFault) return notice.status;
  if (notice.run != choice.run) return absl::OkStatus();  // it had been moved just then
  const absl::Time now = absl::Now();
  choice.moves.OnRunEnded(notice.yielded);
  if (notice.end == RunEnd::kRefused) {
    const bool full = absl::IsResourceExhausted(notice.status);
    const MovePolicy::Decision decision = choice.moves.OnRefused(full, now, Jitter());
    // A full queue is not the instance's fault: the client hears what it is.
    if (decision.action == MovePolicy::Action::kGiveUp && full) return notice.status;
    return MoveOn(choice, MoveReason::kRefused, decision, ToStd(notice.status.message()));
  }
  return MoveOn(choice, MoveReason::kDied, choice.moves.OnDeath(notice.taken, now, Jitter()),
                ToStd(notice.status.message()));
}

absl::Status Generation::MoveOn(Choice& choice, MoveReason reason,
                                const MovePolicy::Decision& decision, std::string_view why,
                                bool ask) {
  const bool again = decision.action == MovePolicy::Action::kRunAgain;
  // gRPC's own text names addresses that are no business of the client's.
  LOG(WARNING) << "request " << spec_.request_id << " choice " << choice.index << ": "
               << choice.instance_name << ": " << why << "; " << (again ? "goes on" : "given up")
               << " after " << choice.token_count << " tokens";
  if (decision.action == MovePolicy::Action::kQuarantine) {
    metrics_.CountQuarantined();
    return QuarantinedError(
        "the request was stopped: engine instances died whenever it ran there; it will not be "
        "tried "
        "again");
  }
  if (!again) {
    return absl::UnavailableError("the instance that served the request became unavailable");
  }
  // One that died is not used before it serves again, and is as good as any other then.
  const bool lives = reason == MoveReason::kStalled || reason == MoveReason::kRefused;
  choice.avoid = lives ? choice.instance : std::nullopt;
  metrics_.CountMove(reason, choice.token_count > 0);
  ++stats_.moves;
  if (!stats_.first_token.has_value()) admitted_.reset();
  if (!ask || choice.ticket.has_value()) return absl::OkStatus();
  choice.run_time = absl::Now() + decision.delay;
  return decision.delay == absl::ZeroDuration() ? Tend(choice, absl::Now()) : absl::OkStatus();
}

double Generation::Jitter() {
  if (!dice_.has_value()) dice_.emplace(std::random_device()());
  return std::uniform_real_distribution<>(0, 1)(*dice_);
}

void Generation::OnTokens(Choice& choice, TokensNotice notice) {
  if (const int count = notice.token_count; count > 0) {
    stats_.token_count += count;
    choice.token_count += count;
    if (!stats_.first_token.has_value()) {
      stats_.first_token = notice.arrived;
      metrics_.ObserveTimeToFirstToken(notice.arrived - stats_.started);
    }
    if (choice.last_token.has_value()) {
      metrics_.ObserveInterTokenLatency((notice.arrived - *choice.last_token) / count, count);
    }
    choice.last_token = notice.arrived;
    metrics_.CountGenerationTokens(count);
  }
  for (GenerationEvent& event : notice.events) {
    if (event.kind == GenerationEvent::Kind::kFinish) OnFinish(choice, event);
    events_.push_back(std::move(event));
  }
  choice.pipeline->Consumed();
}

void Generation::OnFinish(Choice& choice, const GenerationEvent& event) {
  --unfinished_;
  stats_.finish_reason = event.text;
  stats_.longest_choice = std::max(stats_.longest_choice, event.usage.completion_tokens);
  stats_.usage.completion_tokens += event.usage.completion_tokens;
  stats_.usage.reasoning_tokens += event.usage.reasoning_tokens;
  stats_.usage.draft_tokens += event.usage.draft_tokens;
  stats_.usage.accepted_draft_tokens += event.usage.accepted_draft_tokens;
  // The prompt counts once, and so does the part of it that was cached when it came first.
  if (choice.index % spec_.choices_per_prompt == 0) {
    stats_.usage.cached_tokens += event.usage.cached_tokens;
  }
}

}  // namespace vallm::gateway
