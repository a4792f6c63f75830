#include "gateway/generation/generation.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "gateway/openai/errors.h"

namespace vallm::gateway {
namespace {

// How often the client's connection is looked at.
constexpr absl::Duration kPollInterval = absl::Milliseconds(25);
// How long after the engine has taken the request its first token is waited for before the answer
// begins without it. A refusal or a death this soon is still answered with its HTTP status.
constexpr absl::Duration kFirstTokenGrace = absl::Milliseconds(250);
constexpr int kMaxAttempts = 3;

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
  if (spec.top_logprobs) request.mutable_logprobs()->set_top_count(*spec.top_logprobs);
  if (spec.prompt_top_logprobs && index % static_cast<size_t>(spec.choices_per_prompt) == 0) {
    request.mutable_prompt_logprobs()->set_top_count(*spec.prompt_top_logprobs);
  }
  return request;
}

}  // namespace

struct Generation::Choice {
  int index = 0;
  std::shared_ptr<TokenPipeline> pipeline;
  std::optional<InstancePool::Ticket> ticket;  // while it waits for a slot
  std::optional<int> instance;                 // that it runs on or ran on last
  std::string instance_name;
  int runs = 0;            // on an engine
  int parses = 0;          // streams opened at the tokenizer for this run
  bool delivered = false;  // Next has given out some of it
  int token_count = 0;     // counted in stats_
  int recount = 0;         // of those, to come once more from a new parser
  std::optional<absl::Time> last_token;
};

Generation::Generation(InstancePool& pool, v1::Tokenizer::Stub& tokenizer, GatewayMetrics& metrics,
                       GenerationSpec spec, std::function<absl::Status()> keep_going)
    : pool_(pool),
      tokenizer_(tokenizer),
      metrics_(metrics),
      spec_(std::move(spec)),
      keep_going_(std::move(keep_going)),
      queue_(std::make_shared<NoticeQueue>()),
      unfinished_(static_cast<int>(spec_.choices.size())),
      last_poll_(absl::Now()) {
  stats_.started = absl::Now();
}

Generation::~Generation() {
  for (Choice& choice : choices_) {
    if (choice.ticket.has_value()) pool_.Withdraw(*choice.ticket);
    if (choice.pipeline != nullptr) choice.pipeline->Cancel();
  }
  queue_->Close();
}

absl::Status Generation::Start() {
  choices_ = std::vector<Choice>(spec_.choices.size());
  for (size_t i = 0; i < spec_.choices.size(); ++i) {
    choices_[i].index = static_cast<int>(i);
    VALLM_RETURN_IF_ERROR(Run(choices_[i], /*avoid=*/std::nullopt));
  }
  while (!stats_.first_token.has_value() &&
         (!admitted_.has_value() || absl::Now() - *admitted_ < kFirstTokenGrace)) {
    VALLM_RETURN_IF_ERROR(Step());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<GenerationEvent>> Generation::Next() {
  while ((events_.empty() || spec_.whole) && unfinished_ > 0 && ended_.ok()) ended_ = Step();
  // What came before the end is still delivered, unless it is of use only as a whole.
  if ((events_.empty() || spec_.whole) && !ended_.ok()) return ended_;
  for (const GenerationEvent& event : events_) choices_[event.choice].delivered = true;
  return std::exchange(events_, {});
}

absl::Status Generation::Run(Choice& choice, std::optional<int> avoid) {
  const int index = choice.index;
  PipelineSpec pipeline = {.choice = index,
                           .request_id = spec_.request_id,
                           .engine_request = EngineRequest(spec_, static_cast<size_t>(index)),
                           .parse_options = spec_.parse_options};
  pipeline.parse_options.set_prompt_think_state(spec_.choices[index].prompt_think_state);
  choice.pipeline = TokenPipeline::Create(std::move(pipeline), queue_);
  ++choice.runs;
  choice.parses = 0;
  auto granted = [queue = queue_, index](absl::StatusOr<InstancePool::Lease> lease) {
    queue->Push({index, SlotNotice{std::move(lease)}});
  };
  VALLM_ASSIGN_OR_RETURN(
      choice.ticket,
      pool_.Acquire(
          {.avoid = avoid, .moved = avoid.has_value(), .patience = {}, .priority = spec_.priority},
          std::move(granted)));
  return absl::OkStatus();
}

absl::Status Generation::Step() {
  for (Notice& notice : queue_->Take(absl::ToChronoNanoseconds(kPollInterval))) {
    VALLM_RETURN_IF_ERROR(Deal(std::move(notice)));
  }
  const absl::Time now = absl::Now();
  if (now - last_poll_ >= kPollInterval) {
    last_poll_ = now;
    VALLM_RETURN_IF_ERROR(keep_going_());
    VALLM_RETURN_IF_ERROR(CheckTokenizer(now));
  }
  return absl::OkStatus();
}

absl::Status Generation::CheckTokenizer(absl::Time now) {
  for (const Choice& choice : choices_) {
    if (now - choice.pipeline->waits_for_tokenizer_since() > pool_.no_instance_timeout()) {
      return absl::UnavailableError("the tokenizer service is unavailable");
    }
  }
  return absl::OkStatus();
}

absl::Status Generation::Deal(Notice notice) {
  Choice& choice = choices_[notice.choice];
  if (auto* slot = std::get_if<SlotNotice>(&notice.what)) return OnSlot(choice, std::move(*slot));
  if (auto* failed = std::get_if<FailedNotice>(&notice.what)) {
    return OnFailed(choice, *failed);
  }
  if (auto* tokens = std::get_if<TokensNotice>(&notice.what)) {
    OnTokens(choice, std::move(*tokens));
  } else if (!admitted_.has_value()) {
    admitted_ = absl::Now();
  }
  return absl::OkStatus();
}

absl::Status Generation::OnSlot(Choice& choice, SlotNotice notice) {
  choice.ticket.reset();
  if (!notice.lease.ok()) return notice.lease.status();
  choice.instance = notice.lease->instance();
  choice.instance_name = notice.lease->name();
  if (stats_.instance.empty()) {
    stats_.queued = absl::Now() - stats_.started;
    metrics_.ObserveQueueTime(stats_.queued);
  }
  if (stats_.instance.empty() || choice.index == 0) stats_.instance = choice.instance_name;
  ++choice.parses;
  choice.pipeline->OpenParser(tokenizer_);
  choice.pipeline->Generate(*std::move(notice.lease));
  return absl::OkStatus();
}

absl::Status Generation::OnFailed(Choice& choice, const FailedNotice& notice) {
  const bool engine = notice.service == FailedNotice::Service::kEngine;
  if (!absl::IsUnavailable(notice.status)) return notice.status;
  const bool again = !choice.delivered && (engine ? choice.runs : choice.parses) < kMaxAttempts;
  // gRPC's own text names addresses that are no business of the client's.
  LOG(WARNING) << "request " << spec_.request_id << ": "
               << (engine ? choice.instance_name : "the tokenizer") << " is unavailable"
               << (again ? ", trying again: " : ": ") << notice.status.message();
  if (!again) {
    return absl::UnavailableError(engine ? "the instance that served the request became unavailable"
                                         : "the tokenizer service became unavailable");
  }
  metrics_.CountRetry();
  std::erase_if(events_,
                [&](const GenerationEvent& event) { return event.choice == choice.index; });
  if (!engine) {
    ++choice.parses;
    choice.recount = choice.token_count;
    choice.pipeline->OpenParser(tokenizer_);
    return absl::OkStatus();
  }
  stats_.token_count -= choice.token_count;
  choice.token_count = choice.recount = 0;
  choice.last_token.reset();
  return Run(choice, choice.instance);
}

void Generation::OnTokens(Choice& choice, TokensNotice notice) {
  const int known = std::min(notice.token_count, choice.recount);
  choice.recount -= known;
  const int fresh = notice.token_count - known;
  if (fresh > 0) {
    stats_.token_count += fresh;
    choice.token_count += fresh;
    if (!stats_.first_token.has_value()) {
      stats_.first_token = notice.arrived;
      metrics_.ObserveTimeToFirstToken(notice.arrived - stats_.started);
    }
    if (choice.last_token.has_value()) {
      metrics_.ObserveInterTokenLatency((notice.arrived - *choice.last_token) / fresh, fresh);
    }
    choice.last_token = notice.arrived;
    metrics_.CountGenerationTokens(fresh);
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
  stats_.usage.completion_tokens += event.usage.completion_tokens;
  stats_.usage.reasoning_tokens += event.usage.reasoning_tokens;
  // The prompt counts once, and so does the part of it that was cached when it came first.
  if (choice.index % spec_.choices_per_prompt == 0) {
    stats_.usage.cached_tokens += event.usage.cached_tokens;
  }
}

}  // namespace vallm::gateway
