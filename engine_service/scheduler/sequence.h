// One request as the scheduler sees it: its tokens, how far they are computed, the KV blocks it
// holds, its rank among others and when it must end. Plain data; owned by the scheduler until it
// ends.
#ifndef VALLM_ENGINE_SERVICE_SCHEDULER_SEQUENCE_H_
#define VALLM_ENGINE_SERVICE_SCHEDULER_SEQUENCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "engine_service/scheduler/prefix_cache.h"

namespace vallm::engine {

using SequenceId = int64_t;

// What a caller submits.
struct SequenceSpec {
  std::vector<int32_t> prompt_ids;   // at least one
  std::vector<int32_t> resumed_ids;  // output that the caller already has
  int32_t max_tokens = 0;            // output tokens, resumed ones included; >= 1
  std::vector<int32_t> stop_ids;     // each ends the sequence and is part of its output
  absl::Time deadline = absl::InfiniteFuture();
  int32_t priority = 0;       // lower comes earlier
  std::string cache_salt;     // KV blocks are shared only between sequences of the same salt
  bool computes_all = false;  // skips no token that the prefix cache knows
  // Asks for the logits that predict each prompt token but the first. REQUIRES: computes_all, no
  // resumed_ids.
  bool scores_prompt = false;
};

// The KV blocks of a sequence: block i holds positions [i * block_size, (i + 1) * block_size).
// KvManager's to change.
struct BlockTable {
  std::vector<int32_t> blocks;
  int32_t known_count = 0;               // leading blocks that the prefix cache knows
  PrefixId known_prefix = kEmptyPrefix;  // what they hold
  int64_t generation = 0;                // of the prefix cache when the table was begun
};

// How a sequence ended.
enum class SequenceEnd {
  kStop,     // sampled one of stop_ids
  kLength,   // has max_tokens output tokens
  kAborted,  // Abort was called
  kExpired,  // its deadline passed
};

struct Sequence {
  SequenceId id = 0;
  SequenceSpec spec;

  std::vector<int32_t> output_ids;  // resumed ones first
  int32_t computed_count = 0;       // leading tokens whose keys and values are in the cache
  BlockTable table;                 // empty unless it runs
  int32_t scored_count = 0;         // leading positions whose logits scores_prompt has had
  bool aborted = false;             // ends at the next step

  std::optional<int32_t> cached_prompt_count;  // prompt tokens that needed no computing when it
                                               // was first admitted
  int32_t preemption_count = 0;

  std::vector<int32_t> guessed_ids;  // what may follow, for the next step to find out
  int32_t draft_count = 0;           // of such tokens that were tried
  int32_t accepted_draft_count = 0;  // of these, held

  absl::Time arrival_time;
  std::optional<absl::Time> first_step_time;
  std::optional<absl::Time> first_token_time;  // of the tokens sampled here
  std::optional<absl::Time> last_token_time;

  int32_t prompt_count() const { return static_cast<int32_t>(spec.prompt_ids.size()); }
  int32_t output_count() const { return static_cast<int32_t>(output_ids.size()); }
  int32_t token_count() const { return prompt_count() + output_count(); }
  // Token at `position` of prompt and output together.
  int32_t TokenAt(int32_t position) const {
    return position < prompt_count() ? spec.prompt_ids[static_cast<size_t>(position)]
                                     : output_ids[static_cast<size_t>(position - prompt_count())];
  }
};

// A sequence that is the scheduler's no more. Its blocks are free again.
struct EndedSequence {
  Sequence sequence;
  SequenceEnd end;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SCHEDULER_SEQUENCE_H_
