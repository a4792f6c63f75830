#include "gateway/generation/live_answers.h"

#include "absl/strings/str_cat.h"

namespace vallm::gateway {

LiveAnswers::Listing::~Listing() {
  if (answers_ == nullptr) return;
  MutexLock lock(answers_->mu_);
  answers_->answers_.erase(id_);
}

LiveAnswers::Listing LiveAnswers::Add(std::string id, Pipelines pipelines) {
  MutexLock lock(mu_);
  answers_[id] = std::move(pipelines);
  return Listing(this, std::move(id));
}

absl::Status LiveAnswers::EndThinking(const std::string& id) {
  Pipelines pipelines;
  {
    MutexLock lock(mu_);
    const auto found = answers_.find(id);
    if (found == answers_.end()) {
      return absl::NotFoundError(absl::StrCat("no answer is streamed under the id \"", id, "\""));
    }
    pipelines = found->second;
  }
  // One choice that thinks is enough: others may have come to their answers already.
  absl::Status result = absl::FailedPreconditionError("nothing is generated");
  bool told = false;
  for (const auto& pipeline : pipelines) {
    const absl::Status status = pipeline->EndThinking();
    told |= status.ok();
    if (!status.ok()) result = status;
  }
  return told ? absl::OkStatus() : result;
}

}  // namespace vallm::gateway
