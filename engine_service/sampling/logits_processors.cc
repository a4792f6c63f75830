#include "engine_service/sampling/logits_processors.h"

#include <algorithm>
#include <limits>

namespace vallm::engine {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

// The id that `word` forbids after `output`, or -1.
int32_t ForbiddenBy(const std::vector<int32_t>& word, std::span<const int32_t> output) {
  const size_t before = word.size() - 1;
  if (before > output.size()) return -1;
  const auto tail = output.last(before);
  return std::equal(tail.begin(), tail.end(), word.begin()) ? word.back() : -1;
}

bool Changes(const SamplingState& state, TokenMask mask) {
  const SamplingParams& params = state.params();
  return !mask.empty() || !params.allowed_ids.empty() || !params.bad_words.empty() ||
         state.next_position() < params.min_tokens || !params.logit_bias.empty() ||
         !state.seen().empty();
}

void ApplyMask(TokenMask mask, std::span<float> logits) {
  const size_t named = std::min(mask.size() * 64, logits.size());
  for (size_t begin = 0; begin < named; begin += 64) {
    const uint64_t word = mask[begin / 64];
    if (word == ~uint64_t{0}) continue;
    const size_t end = std::min(begin + 64, named);
    if (word == 0) {
      std::fill(logits.begin() + begin, logits.begin() + end, kForbidden);
      continue;
    }
    for (size_t id = begin; id < end; ++id) {
      if ((word >> (id - begin) & 1) == 0) logits[id] = kForbidden;
    }
  }
  std::fill(logits.begin() + named, logits.end(), kForbidden);
}

void KeepOnly(std::span<const int32_t> ids, std::span<float> logits) {
  size_t next = 0;  // first logit not decided yet; ids ascend
  for (const int32_t id : ids) {
    const auto place = static_cast<size_t>(id);
    if (place < next) continue;  // named twice
    std::fill(logits.begin() + next, logits.begin() + place, kForbidden);
    next = place + 1;
  }
  std::fill(logits.begin() + next, logits.end(), kForbidden);
}

void ApplyPenalties(const SamplingState& state, std::span<float> logits) {
  const SamplingParams& params = state.params();
  for (const SamplingState::Seen& seen : state.seen()) {
    float& logit = logits[static_cast<size_t>(seen.token_id)];
    logit = logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    if (seen.output_count == 0) continue;
    logit -= params.frequency_penalty * static_cast<float>(seen.output_count);
    logit -= params.presence_penalty;
  }
}

}  // namespace

std::span<const float> LogitsProcessors::Apply(std::span<const float> logits,
                                               const SamplingState& state, TokenMask mask) {
  if (!Changes(state, mask)) return logits;
  const SamplingParams& params = state.params();
  scratch_.assign(logits.begin(), logits.end());
  if (!mask.empty()) ApplyMask(mask, scratch_);
  if (!params.allowed_ids.empty()) KeepOnly(params.allowed_ids, scratch_);
  for (const std::vector<int32_t>& word : params.bad_words) {
    const int32_t id = ForbiddenBy(word, state.output());
    if (id >= 0) scratch_[static_cast<size_t>(id)] = kForbidden;
  }
  if (state.next_position() < params.min_tokens) {
    for (const int32_t id : params.end_ids) scratch_[static_cast<size_t>(id)] = kForbidden;
  }
  for (const LogitBias& entry : params.logit_bias) {
    scratch_[static_cast<size_t>(entry.token_id)] += entry.bias;
  }
  ApplyPenalties(state, scratch_);
  return scratch_;
}

}  // namespace vallm::engine
