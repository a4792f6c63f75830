#include "gateway/routing/slot_board.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace vallm::gateway {

int SlotBoard::AddInstance() {
  instances_.emplace_back();
  return static_cast<int>(instances_.size()) - 1;
}

void SlotBoard::UpdateInstance(int instance, bool serving, int limit, int reported_load) {
  Instance& entry = instances_[instance];
  entry.serving = serving;
  entry.limit = std::max(limit, 1);
  // A report may be older than our latest dispatches: those count in full on top of it.
  entry.foreign = std::max(reported_load - entry.in_flight, 0);
}

absl::StatusOr<SlotBoard::Ticket> SlotBoard::Enqueue(absl::Time now, const SlotRequest& request) {
  if (!request.moved && waiting_count() >= options_.max_queue_size && !Pick(request).has_value()) {
    return absl::ResourceExhaustedError(absl::StrCat("the server is busy: ", waiting_count(),
                                                     " requests wait already; the limit is ",
                                                     options_.max_queue_size));
  }
  const Waiter waiter = {next_ticket_, now, request};
  waiters_.insert(
      std::upper_bound(waiters_.begin(), waiters_.end(), waiter,
                       [this](const Waiter& a, const Waiter& b) { return RanksBefore(a, b); }),
      waiter);
  return next_ticket_++;
}

bool SlotBoard::RanksBefore(const Waiter& a, const Waiter& b) const {
  if (a.request.moved != b.request.moved) return a.request.moved;
  if (a.request.moved) return a.ticket < b.ticket;
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

void SlotBoard::Release(int instance) { --instances_[instance].in_flight; }

bool SlotBoard::Serves(const Instance& instance, const SlotRequest& request) {
  return instance.serving && instance.make == request.make.value_or(instance.make);
}

bool SlotBoard::AnyServes(const SlotRequest& request) const {
  return std::any_of(instances_.begin(), instances_.end(),
                     [&](const Instance& instance) { return Serves(instance, request); });
}

std::optional<int> SlotBoard::Pick(const SlotRequest& request) const {
  const int count = static_cast<int>(instances_.size());
  std::optional<int> best;
  bool other_serves = false;
  for (int offset = 0; offset < count; ++offset) {
    const int index = (next_in_turn_ + offset) % count;
    const Instance& instance = instances_[index];
    if (!Serves(instance, request) || index == request.avoid) continue;
    other_serves = true;
    if (instance.in_flight >= instance.limit) continue;
    const auto load = [&](int i) { return instances_[i].in_flight + instances_[i].foreign; };
    if (!best.has_value() || load(index) < load(*best)) best = index;
  }
  if (best.has_value() || other_serves || !request.avoid.has_value()) return best;
  const Instance& last_resort = instances_[*request.avoid];
  const bool free = Serves(last_resort, request) && last_resort.in_flight < last_resort.limit;
  return free ? request.avoid : std::nullopt;
}

std::vector<SlotBoard::Decision> SlotBoard::Settle(absl::Time now) {
  std::vector<Decision> decisions;
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    if (const std::optional<int> instance = Pick(waiter->request)) {
      ++instances_[*instance].in_flight;
      next_in_turn_ = (*instance + 1) % static_cast<int>(instances_.size());
      decisions.push_back({waiter->ticket, *instance, now - waiter->since});
    } else if (DeadlineOf(*waiter) <= now) {
      const absl::Duration waited = now - waiter->since;
      absl::Status status =
          AnyServes(waiter->request)
              ? absl::DeadlineExceededError(
                    absl::StrCat("the request waited ", absl::FormatDuration(waited),
                                 " for a free slot; the limit is ",
                                 absl::FormatDuration(options_.queue_timeout)))
              : absl::UnavailableError(AnyServes(SlotRequest())
                                           ? "no engine instance of the same model is serving"
                                           : "no engine instance is serving");
      decisions.push_back({waiter->ticket, std::move(status), waited});
    } else {
      ++waiter;
      continue;
    }
    waiter = waiters_.erase(waiter);
  }
  return decisions;
}

absl::Time SlotBoard::DeadlineOf(const Waiter& waiter) const {
  if (AnyServes(waiter.request)) return waiter.since + options_.queue_timeout;
  return waiter.since + waiter.request.patience.value_or(options_.no_instance_timeout);
}

absl::Time SlotBoard::NextDeadline() const {
  absl::Time next = absl::InfiniteFuture();
  for (const Waiter& waiter : waiters_) next = std::min(next, DeadlineOf(waiter));
  return next;
}

}  // namespace vallm::gateway
