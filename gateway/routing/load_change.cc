#include "gateway/routing/load_change.h"

namespace vallm::gateway {
namespace {

bool HasNoWorkers(v1::InstanceState state) {
  return state == v1::INSTANCE_STATE_LOADING || state == v1::INSTANCE_STATE_RESTARTING;
}

}  // namespace

LoadChange CompareLoads(const v1::Load& before, const v1::Load& after) {
  if (before.state() == v1::INSTANCE_STATE_UNSPECIFIED) return LoadChange::kNone;
  if (HasNoWorkers(after.state())) {
    return HasNoWorkers(before.state()) ? LoadChange::kNone : LoadChange::kRestarted;
  }
  // These only grow while a process lives.
  if (after.generated_token_count() < before.generated_token_count() ||
      after.prompt_token_count() < before.prompt_token_count() ||
      after.prefix_queried_token_count() < before.prefix_queried_token_count()) {
    return LoadChange::kRestarted;
  }
  // Blocks with cached prefixes are free ones: requests that take them make free ones fewer, a
  // reset does not.
  const bool emptied = before.cached_kv_block_count() > 0 && after.cached_kv_block_count() == 0;
  return emptied && after.free_kv_block_count() >= before.free_kv_block_count()
             ? LoadChange::kCacheLost
             : LoadChange::kNone;
}

}  // namespace vallm::gateway
