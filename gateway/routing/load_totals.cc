#include "gateway/routing/load_totals.h"

namespace vallm::gateway {

LoadTotals& LoadTotals::operator+=(const LoadTotals& other) {
  prompt_tokens += other.prompt_tokens;
  generated_tokens += other.generated_tokens;
  prefix_queried_tokens += other.prefix_queried_tokens;
  prefix_hit_tokens += other.prefix_hit_tokens;
  preemptions += other.preemptions;
  drafts += other.drafts;
  draft_tokens += other.draft_tokens;
  accepted_draft_tokens += other.accepted_draft_tokens;
  return *this;
}

LoadTotals LoadFollower::Advance(const std::string& name, const v1::Load& load, bool from_zero) {
  // What an unreachable instance's load reads as.
  if (load.state() == v1::INSTANCE_STATE_UNSPECIFIED) return {};
  const auto [entry, is_new] = instances_.try_emplace(name);
  Instance& instance = entry->second;
  if (is_new && !from_zero) instance.last = load;
  const auto growth = [&load, &instance](auto count) {
    const int64_t now = (load.*count)();
    const int64_t then = (instance.last.*count)();
    return now >= then ? now - then : now;
  };
  const LoadTotals grown = {.prompt_tokens = growth(&v1::Load::prompt_token_count),
                            .generated_tokens = growth(&v1::Load::generated_token_count),
                            .prefix_queried_tokens = growth(&v1::Load::prefix_queried_token_count),
                            .prefix_hit_tokens = growth(&v1::Load::prefix_hit_token_count),
                            .preemptions = growth(&v1::Load::preemption_count),
                            .drafts = growth(&v1::Load::draft_count),
                            .draft_tokens = growth(&v1::Load::draft_token_count),
                            .accepted_draft_tokens = growth(&v1::Load::accepted_draft_token_count)};
  instance.last = load;
  instance.total += grown;
  return grown;
}

LoadTotals LoadFollower::Total(const std::string& name) const {
  const auto found = instances_.find(name);
  return found == instances_.end() ? LoadTotals() : found->second.total;
}

}  // namespace vallm::gateway
