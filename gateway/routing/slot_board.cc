#include "gateway/routing/slot_board.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace vallm::gateway {
namespace {

constexpr size_t kMaxSessions = 1 << 16;  // remembered

}  // namespace

const char* NameOf(RoutingReason reason) {
  switch (reason) {
    case RoutingReason::kSession:
      return "session";
    case RoutingReason::kPrefix:
      return "prefix";
    case RoutingReason::kLoad:
      return "load";
    case RoutingReason::kTurn:
      return "turn";
  }
  return "unknown";
}

const char* SlotBoard::NameOf(Fitness fitness) {
  switch (fitness) {
    case Fitness::kFree:
      return "free";
    case Fitness::kFull:
      return "full";
    case Fitness::kNotServing:
      return "not_serving";
    case Fitness::kOtherMake:
      return "other_model";
    case Fitness::kAvoided:
      return "avoided";
  }
  return "unknown";
}

SlotBoard::SlotBoard(const SlotBoardOptions& options)
    : options_(options), policy_(NewRoutingPolicy(options.policy)), sessions_(kMaxSessions) {}

int SlotBoard::AddInstance() {
  instances_.emplace(next_index_, Instance());
  return next_index_++;
}

void SlotBoard::RemoveInstance(int instance) {
  instances_.erase(instance);
  policy_->OnRemoved(instance);
}

void SlotBoard::UpdateInstance(int instance, bool serving, int limit, int reported_load) {
  Instance& entry = instances_.at(instance);
  entry.serving = serving;
  entry.limit = std::max(limit, 1);
  // A report may be older than our latest dispatches: those count in full on top of it.
  entry.foreign = std::max(reported_load - entry.in_flight, 0);
}

absl::StatusOr<SlotBoard::Ticket> SlotBoard::Enqueue(absl::Time now, const SlotRequest& request) {
  if (!request.moved && waiting_count() >= options_.max_queue_size && Candidates(request).empty()) {
    return absl::ResourceExhaustedError(absl::StrCat("the server is busy: ", waiting_count(),
                                                     " requests wait already; the limit is ",
                                                     options_.max_queue_size));
  }
  Waiter waiter = {next_ticket_, now, request};
  if (!AnyServes(request)) waiter.unserved_since = now;
  waiters_.insert(
      std::upper_bound(waiters_.begin(), waiters_.end(), waiter,
                       [this](const Waiter& a, const Waiter& b) { return RanksBefore(a, b); }),
      waiter);
  return next_ticket_++;
}

bool SlotBoard::RanksBefore(const Waiter& a, const Waiter& b) const {
  if (a.request.moved != b.request.moved) return a.request.moved;
  if (a.request.moved) return a.ticket < b.ticket;
  if (a.request.background != b.request.background) return b.request.background;
  const absl::Duration ageing = options_.priority_ageing;
  if (ageing == absl::InfiniteDuration()) {
    return std::pair(a.request.priority, a.ticket) < std::pair(b.request.priority, b.ticket);
  }
  return std::pair(a.since + a.request.priority * ageing, a.ticket) <
         std::pair(b.since + b.request.priority * ageing, b.ticket);
}

void SlotBoard::Withdraw(Ticket ticket) {
  std::erase_if(waiters_, [&](const Waiter& waiter) { return waiter.ticket == ticket; });
}

void SlotBoard::Release(int instance, absl::Time now) {
  --instances_.at(instance).in_flight;
  drain_rate_.OnFreed(now);
}

bool SlotBoard::Serves(const Instance& instance, const SlotRequest& request) {
  return instance.serving && instance.make == request.make.value_or(instance.make);
}

bool SlotBoard::AnyServes(const SlotRequest& request) const {
  return std::any_of(instances_.begin(), instances_.end(),
                     [&](const auto& entry) { return Serves(entry.second, request); });
}

bool SlotBoard::OtherServes(const SlotRequest& request) const {
  return std::any_of(instances_.begin(), instances_.end(), [&](const auto& entry) {
    return entry.first != request.avoid && Serves(entry.second, request);
  });
}

SlotBoard::Fitness SlotBoard::FitnessOf(int index, const Instance& instance,
                                        const SlotRequest& request, bool other_serves) const {
  if (!instance.serving) return Fitness::kNotServing;
  if (!Serves(instance, request)) return Fitness::kOtherMake;
  if (index == request.avoid && other_serves) return Fitness::kAvoided;
  return instance.in_flight < instance.limit ? Fitness::kFree : Fitness::kFull;
}

std::vector<Candidate> SlotBoard::Candidates(const SlotRequest& request) const {
  const bool other_serves = request.avoid.has_value() && OtherServes(request);
  std::vector<Candidate> candidates;
  const auto add = [&](auto begin, auto end) {
    for (auto entry = begin; entry != end; ++entry) {
      const auto& [index, instance] = *entry;
      if (FitnessOf(index, instance, request, other_serves) != Fitness::kFree) continue;
      candidates.push_back({.instance = index,
                            .load = instance.in_flight + instance.foreign,
                            .limit = instance.limit});
    }
  };
  const auto first = instances_.lower_bound(next_in_turn_);
  add(first, instances_.end());
  add(instances_.begin(), first);
  return candidates;
}

SlotBoard::Choice SlotBoard::Best(const SlotRequest& request,
                                  const std::vector<Candidate>& candidates,
                                  const std::vector<CandidateScore>& scores) const {
  size_t best = 0;
  for (size_t i = 1; i < candidates.size(); ++i) {
    if (scores[i].score > scores[best].score) best = i;
  }
  RoutingReason reason = scores[best].matched_tokens > 0 ? RoutingReason::kPrefix
                         : options_.policy.kind == RoutingPolicyKind::kRoundRobin
                             ? RoutingReason::kTurn
                             : RoutingReason::kLoad;
  if (const int* last = request.session ? sessions_.Find(*request.session) : nullptr) {
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].instance != *last) continue;
      best = i;
      reason = RoutingReason::kSession;
    }
  }
  return {.instance = candidates[best].instance,
          .reason = reason,
          .matched_tokens = scores[best].matched_tokens};
}

void SlotBoard::Take(const SlotRequest& request, const Choice& choice, absl::Time now) {
  ++instances_.at(choice.instance).in_flight;
  next_in_turn_ = choice.instance + 1;
  policy_->OnDispatch(choice.instance, request.prompt.get());
  if (request.session) sessions_.Put(*request.session, choice.instance);
  drain_rate_.OnTaken(now);
}

std::vector<SlotBoard::Decision> SlotBoard::Settle(absl::Time now) {
  std::vector<Decision> decisions;
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    const SlotRequest& request = waiter->request;
    const absl::Duration waited = now - waiter->since;
    if (AnyServes(request)) {
      waiter->unserved_since.reset();
    } else if (!waiter->unserved_since.has_value()) {
      waiter->unserved_since = now;
    }
    if (const std::vector<Candidate> candidates = Candidates(request); !candidates.empty()) {
      const Choice choice =
          Best(request, candidates, policy_->Score(candidates, request.prompt.get()));
      Take(request, choice, now);
      decisions.push_back({waiter->ticket, choice, waited});
    } else if (DeadlineOf(*waiter) <= now) {
      decisions.push_back({waiter->ticket, WaitedTooLong(*waiter, waited), waited});
    } else {
      ++waiter;
      continue;
    }
    waiter = waiters_.erase(waiter);
  }
  return decisions;
}

absl::Status SlotBoard::WaitedTooLong(const Waiter& waiter, absl::Duration waited) const {
  if (AnyServes(waiter.request)) {
    return absl::DeadlineExceededError(absl::StrCat(
        "the request waited ", absl::FormatDuration(waited), " for a free slot; the limit is ",
        absl::FormatDuration(options_.queue_timeout)));
  }
  return absl::UnavailableError(AnyServes(SlotRequest())
                                    ? "no engine instance of the same model is serving"
                                    : "no engine instance is serving");
}

SlotBoard::Explanation SlotBoard::Explain(const SlotRequest& request, absl::Time now) const {
  Explanation explanation;
  const bool other_serves = request.avoid.has_value() && OtherServes(request);
  for (const auto& [index, instance] : instances_) {
    explanation.verdicts.push_back({.instance = index,
                                    .fitness = FitnessOf(index, instance, request, other_serves),
                                    .load = instance.in_flight + instance.foreign,
                                    .limit = instance.limit,
                                    .score = std::nullopt});
  }
  const Waiter waiter = {next_ticket_, now, request};
  const auto place =
      std::upper_bound(waiters_.begin(), waiters_.end(), waiter,
                       [this](const Waiter& a, const Waiter& b) { return RanksBefore(a, b); });
  const std::vector<Candidate> candidates = Candidates(request);
  if (candidates.empty()) {
    explanation.position = static_cast<int>(place - waiters_.begin()) + 1;
    explanation.wait = drain_rate_.TimeToFree(explanation.position, now);
    return explanation;
  }
  const std::vector<CandidateScore> scores = policy_->Score(candidates, request.prompt.get());
  for (size_t i = 0; i < candidates.size(); ++i) {
    for (Verdict& verdict : explanation.verdicts) {
      if (verdict.instance == candidates[i].instance) verdict.score = scores[i];
    }
  }
  explanation.choice = Best(request, candidates, scores);
  return explanation;
}

std::optional<absl::Duration> SlotBoard::ExpectedWait(absl::Time now) const {
  std::optional<absl::Duration> wait = drain_rate_.TimeToFree(waiting_count() + 1, now);
  if (wait) wait = std::min(*wait, options_.queue_timeout);
  return wait;
}

absl::Time SlotBoard::DeadlineOf(const Waiter& waiter) const {
  if (AnyServes(waiter.request)) return waiter.since + options_.queue_timeout;
  // Unless it is known yet that nobody does, it is time to note it.
  if (!waiter.unserved_since.has_value()) return absl::InfinitePast();
  return *waiter.unserved_since + waiter.request.patience.value_or(options_.no_instance_timeout);
}

absl::Time SlotBoard::NextDeadline() const {
  absl::Time next = absl::InfiniteFuture();
  for (const Waiter& waiter : waiters_) next = std::min(next, DeadlineOf(waiter));
  return next;
}

int SlotBoard::background_waiting_count() const {
  return static_cast<int>(std::count_if(waiters_.begin(), waiters_.end(), [](const Waiter& waiter) {
    return waiter.request.background;
  }));
}

}  // namespace vallm::gateway
