#include "gateway/routes/answer_trace.h"

#include <utility>

#include "absl/time/clock.h"

namespace vallm::gateway {

AnswerTrace::AnswerTrace(std::shared_ptr<RequestTrace> trace, const AnswerHeader& header,
                         bool streamed)
    : trace_(std::move(trace)) {
  progress_.model = header.model;
  progress_.answer_id = header.id;
  progress_.streamed = streamed;
  progress_.choices = header.choice_count;
  progress_.prompt_tokens = header.prompt_tokens;
  progress_.tokenized = absl::Now();
  if (trace_ != nullptr) trace_->Update(progress_);
}

void AnswerTrace::Follow(const GenerationStats& stats) {
  progress_.instances = stats.instances;
  progress_.moves = stats.moves;
  progress_.completion_tokens = stats.token_count;
  if (!stats.instances.empty()) progress_.placed = stats.started + stats.queued;
  progress_.first_token = stats.first_token;
}

void AnswerTrace::Report(const GenerationStats& stats) {
  const bool same = progress_.completion_tokens == stats.token_count &&
                    progress_.instances.size() == stats.instances.size() &&
                    progress_.moves == stats.moves;
  if (trace_ == nullptr || same) return;
  Follow(stats);
  trace_->Update(progress_);
}

void AnswerTrace::Conclude(const GenerationStats& stats, const TokenUsage& usage,
                           const std::string& finish_reason) {
  if (trace_ == nullptr) return;
  Follow(stats);
  progress_.cached_tokens = usage.cached_tokens;
  progress_.finish_reason = finish_reason;
  trace_->Update(progress_);
}

}  // namespace vallm::gateway
