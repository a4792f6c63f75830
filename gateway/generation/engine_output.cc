#include "gateway/generation/engine_output.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace vallm::gateway {
namespace {

TokenLogprobs FromProto(int32_t token_id, const v1::TokenLogprobs& proto) {
  TokenLogprobs logprobs{
      .token_id = token_id, .logprob = proto.logprob(), .rank = proto.rank(), .top = {}};
  for (const v1::TokenLogprob& token : proto.top()) {
    logprobs.top.emplace_back(token.token_id(), token.logprob());
  }
  return logprobs;
}

}  // namespace

EngineOutput::EngineOutput(v1::GenerateRequest request) : request_(std::move(request)) {}

v1::GenerateRequest EngineOutput::NextRun() {
  v1::GenerateRequest next = request_;
  next.mutable_resume_token_ids()->Add(ids_.begin(), ids_.end());
  if (!request_.has_prompt_logprobs()) return next;
  // The first token comes after all of them, so they are complete or there is nothing to resume.
  if (!ids_.empty()) {
    next.clear_prompt_logprobs();
  } else {
    prompt_logprobs_.assign(1, {.token_id = request_.prompt_token_ids().ids(0),
                                .logprob = std::numeric_limits<float>::quiet_NaN(),
                                .top = {},
                                .shows = true});
  }
  return next;
}

void EngineOutput::Add(const v1::GenerateChunk& chunk) {
  if (!finish_reason_.empty()) return;  // a stop string was faster
  AddPromptLogprobs(chunk);
  ids_.insert(ids_.end(), chunk.token_ids().begin(), chunk.token_ids().end());
  for (int i = 0; i < chunk.logprobs_size() && i < chunk.token_ids_size(); ++i) {
    logprobs_.push_back(FromProto(chunk.token_ids(i), chunk.logprobs(i)));
  }
  switch (chunk.finish_reason()) {
    case v1::FINISH_REASON_UNSPECIFIED:
      break;
    case v1::FINISH_REASON_STOP:
      finish_reason_ = "stop";
      break;
    case v1::FINISH_REASON_LENGTH:
      finish_reason_ = "length";
      break;
    default:
      aborted_ = true;
      break;
  }
  if (chunk.has_usage()) {
    cached_tokens_ = chunk.usage().cached_token_count();
    draft_tokens_ = chunk.usage().draft_token_count();
    accepted_draft_tokens_ = chunk.usage().accepted_draft_token_count();
  }
  if (chunk.has_stop_token_id()) stop_token_id_ = chunk.stop_token_id();
}

void EngineOutput::AddPromptLogprobs(const v1::GenerateChunk& chunk) {
  const auto& prompt_ids = request_.prompt_token_ids().ids();
  for (const v1::TokenLogprobs& logprobs : chunk.prompt_logprobs()) {
    const int position = static_cast<int>(prompt_logprobs_.size());
    if (position >= prompt_ids.size()) break;
    prompt_logprobs_.push_back(FromProto(prompt_ids[position], logprobs));
    prompt_logprobs_.back().shows = true;
  }
}

void EngineOutput::EndThinkingAt(int32_t position) {
  if (request_.thinking().has_end_position()) return;
  request_.mutable_thinking()->set_end_position(position);
}

void EngineOutput::Stop(size_t count) {
  finish_reason_ = "stop";
  ids_.resize(std::min(count, ids_.size()));
}

std::optional<int32_t> EngineOutput::stop_token_id() const {
  if (!stop_token_id_.has_value()) return std::nullopt;
  const auto& asked = request_.stop().stop_token_ids();
  // The model's own end of sequence is no reason worth naming.
  const bool named = std::find(asked.begin(), asked.end(), *stop_token_id_) != asked.end();
  return named ? stop_token_id_ : std::nullopt;
}

}  // namespace vallm::gateway
