#include "engine_service/sampling/sampling_state.h"

#include <utility>

namespace vallm::engine {

SamplingState::SamplingState(SamplingParams params, std::span<const int32_t> prompt,
                             std::span<const int32_t> output)
    : params_(std::move(params)),
      penalized_(params_.repetition_penalty != 1 || params_.presence_penalty != 0 ||
                 params_.frequency_penalty != 0) {
  if (params_.repetition_penalty != 1) {
    for (const int32_t id : prompt) Note(id, 0);
  }
  for (const int32_t id : output) Append(id);
}

void SamplingState::Append(int32_t token_id) {
  output_.push_back(token_id);
  if (penalized_) Note(token_id, 1);
}

void SamplingState::Note(int32_t token_id, int32_t output_count) {
  const auto [place, is_new] = index_.emplace(token_id, seen_.size());
  if (is_new) seen_.push_back({token_id, 0});
  seen_[place->second].output_count += output_count;
}

}  // namespace vallm::engine
