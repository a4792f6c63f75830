// The blocking calls of the engine, over Submit.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "common/mutex.h"
#include "engine_service/engine.h"

namespace vallm::engine {
namespace {

// Gathers the answers of several requests.
class Gatherer {
 public:
  // A place for one answer.
  class Slot final : public RequestSink {
   public:
    explicit Slot(Gatherer& gatherer) : gatherer_(gatherer) {}
    void OnStart() override {}
    void OnTokens(TokenBatch tokens) override {
      TokenBatch& all = answer_.tokens;
      all.token_ids.insert(all.token_ids.end(), tokens.token_ids.begin(), tokens.token_ids.end());
      std::move(tokens.prompt_logprobs.begin(), tokens.prompt_logprobs.end(),
                std::back_inserter(all.prompt_logprobs));
      std::move(tokens.logprobs.begin(), tokens.logprobs.end(), std::back_inserter(all.logprobs));
    }
    void OnFinish(const Completion& completion) override {
      answer_.completion = completion;
      MutexLock lock(gatherer_.mu_);
      --gatherer_.live_;
      gatherer_.ended_.NotifyAll();
    }
    // REQUIRES: OnFinish was called and WaitFor has seen it.
    Generation TakeAnswer() { return std::move(answer_); }

   private:
    Gatherer& gatherer_;
    Generation answer_;  // the engine's thread, until OnFinish
  };

  std::shared_ptr<Slot> NewSlot() {
    MutexLock lock(mu_);
    ++live_;
    return std::make_shared<Slot>(*this);
  }
  // For a slot whose request was refused.
  void Withdraw() {
    MutexLock lock(mu_);
    --live_;
  }
  // Waits until at most `count` answers are outstanding.
  void WaitFor(int count) {
    MutexLock lock(mu_);
    while (live_ > count) ended_.Wait(mu_);
  }
  int live() {
    MutexLock lock(mu_);
    return live_;
  }

 private:
  Mutex mu_;
  CondVar ended_;
  int live_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace

absl::StatusOr<Generation> Engine::Generate(GenerationRequest request) {
  Gatherer gatherer;
  const auto slot = gatherer.NewSlot();
  const auto submitted = Submit(std::move(request), slot);
  if (!submitted.ok()) return submitted.status();
  gatherer.WaitFor(0);
  Generation answer = slot->TakeAnswer();
  answer.seed = submitted->seed;
  return answer;
}

std::vector<absl::StatusOr<Generation>> Engine::GenerateAll(
    std::vector<GenerationRequest> requests) {
  const int most = setup_.scheduler.max_batch_size + setup_.scheduler.max_queue_size;
  Gatherer gatherer;
  std::vector<std::shared_ptr<Gatherer::Slot>> slots(requests.size());
  std::vector<absl::StatusOr<Submitted>> submitted(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    while (true) {
      gatherer.WaitFor(most - 1);
      slots[i] = gatherer.NewSlot();
      submitted[i] = Submit(requests[i], slots[i]);
      if (submitted[i].ok()) break;
      gatherer.Withdraw();
      if (absl::IsResourceExhausted(submitted[i].status()) && gatherer.live() > 0) {
        gatherer.WaitFor(gatherer.live() - 1);
        continue;
      }
      // Loading or restarting ends by itself; anything else is the answer.
      if (!absl::IsUnavailable(submitted[i].status()) || !WaitUntilServing().ok()) break;
    }
  }
  gatherer.WaitFor(0);
  std::vector<absl::StatusOr<Generation>> answers;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!submitted[i].ok()) {
      answers.push_back(submitted[i].status());
      continue;
    }
    Generation answer = slots[i]->TakeAnswer();
    answer.seed = submitted[i]->seed;
    answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace vallm::engine
