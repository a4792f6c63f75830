#include "engine_service/step_decider.h"

#include <glog/logging.h>

#include "absl/strings/str_cat.h"

namespace vallm::engine {
namespace {

// Where the rows of each request begin, and where the last ones end.
std::vector<size_t> RequestBounds(const StepPlan& plan) {
  std::vector<size_t> bounds;
  for (size_t i = 0; i < plan.rows.size(); ++i) {
    if (i == 0 || plan.rows[i].sequence_id != plan.rows[i - 1].sequence_id) bounds.push_back(i);
  }
  bounds.push_back(plan.rows.size());
  return bounds;
}

}  // namespace

StepDecider::StepDecider(int32_t vocab_size, int32_t threads)
    : vocab_size_(static_cast<size_t>(vocab_size)), threads_(threads) {}

StepResults::Row StepDecider::DecideRow(const StepTasks::Row& task, std::span<const float> logits,
                                        Sampler& sampler) {
  StepResults::Row result;
  const auto decide = [&](int32_t token_id) {
    result.token_id = token_id;
    task.sampling->Append(token_id);
    if (task.top_logprobs.has_value()) {
      result.logprobs = sampler.Logprobs(logits, token_id, *task.top_logprobs);
    }
    return result;
  };
  if (task.closer != nullptr) {
    const std::optional<int32_t> forced =
        task.closer->ForcedBehind(task.sampling->output(), task.thinking_end_position);
    if (forced.has_value()) return decide(*forced);
  }
  TokenMask mask;
  if (task.constraint != nullptr) {
    MutexLock lock(constraint_mu_);
    const absl::StatusOr<TokenMask> allowed = task.constraint->MaskBehind(task.sampling->output());
    if (!allowed.ok()) {
      result.status =
          absl::InvalidArgumentError(absl::StrCat("constraint: ", allowed.status().message()));
      return result;
    }
    mask = *allowed;
  }
  const auto token = sampler.Sample(logits, *task.sampling, mask);
  result.status = token.status();
  return token.ok() ? decide(*token) : result;
}

StepResults StepDecider::Decide(const StepPlan& plan, const StepTasks& tasks,
                                std::span<const float> logits) {
  const auto row_of = [&](int32_t logit_row) {
    return logits.subspan(static_cast<size_t>(logit_row) * vocab_size_, vocab_size_);
  };
  StepResults results;
  results.prompt_rows.resize(tasks.prompt_rows.size());
  results.rows.resize(tasks.rows.size());
  const auto score = [&](size_t i, Sampler& sampler) {
    const StepTasks::PromptRow& task = tasks.prompt_rows[i];
    results.prompt_rows[i] = sampler.ScorePrompt(row_of(plan.prompt_rows[i].logit_row),
                                                 task.token_id, task.top_logprobs);
  };
  const auto decide = [&](size_t begin, size_t end, Sampler& sampler) {
    for (size_t i = begin; i < end; ++i) {
      const StepPlan::Row& row = plan.rows[i];
      CHECK_EQ(tasks.rows[i].sampling->next_position(), row.output_position);
      results.rows[i] = DecideRow(tasks.rows[i], row_of(row.logit_row), sampler);
      // The rows behind it suppose the guess: they are void where it does not hold.
      if (results.rows[i].token_id != row.guess) break;
    }
  };
  // A piece is one row of a prompt, or all rows of one request: these follow on one another.
  const size_t scored = tasks.prompt_rows.size();
  const std::vector<size_t> bounds = RequestBounds(plan);
  const auto pieces = static_cast<int64_t>(scored + bounds.size() - 1);
  const auto logit_count = static_cast<int64_t>((scored + tasks.rows.size()) * vocab_size_);
  threads_.ForEach(pieces, logit_count, [&](int64_t index, Sampler& sampler) {
    const auto piece = static_cast<size_t>(index);
    if (piece < scored) return score(piece, sampler);
    decide(bounds[piece - scored], bounds[piece - scored + 1], sampler);
  });
  return results;
}

}  // namespace vallm::engine
