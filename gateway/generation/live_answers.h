// The streamed answers that are being written, by the id that their clients see, for calls about
// them from elsewhere. Thread-safe.
#ifndef VALLM_GATEWAY_GENERATION_LIVE_ANSWERS_H_
#define VALLM_GATEWAY_GENERATION_LIVE_ANSWERS_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/mutex.h"
#include "gateway/generation/token_pipeline.h"

namespace vallm::gateway {

class LiveAnswers {
 public:
  using Pipelines = std::vector<std::shared_ptr<TokenPipeline>>;

  // Keeps an answer listed until destroyed.
  class Listing {
   public:
    Listing(LiveAnswers* answers, std::string id) : answers_(answers), id_(std::move(id)) {}
    Listing(Listing&& other) noexcept
        : answers_(std::exchange(other.answers_, nullptr)), id_(std::move(other.id_)) {}
    Listing& operator=(Listing&&) = delete;
    ~Listing();

   private:
    LiveAnswers* answers_;
    std::string id_;
  };

  // `pipelines` are those of its choices. REQUIRES: `id` is not listed; *this outlives the listing.
  Listing Add(std::string id, Pipelines pipelines);

  // Closes the thoughts of the answer's choices. Blocks for a call to each engine.
  // Errors: NOT_FOUND; what no choice could be told (TokenPipeline::EndThinking).
  absl::Status EndThinking(const std::string& id);

 private:
  Mutex mu_;
  std::map<std::string, Pipelines> answers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_LIVE_ANSWERS_H_
