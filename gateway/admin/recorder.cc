#include "gateway/admin/recorder.h"

#include "absl/time/clock.h"

namespace vallm::gateway {

Recorder::Recorder(const InstancePool& pool, RequestLog& requests)
    : pool_(pool), requests_(requests), thread_([this] { Run(); }) {}

Recorder::~Recorder() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

void Recorder::Run() {
  for (;;) {
    const int64_t end = absl::ToUnixSeconds(absl::Now()) + 1;
    {
      MutexLock lock(mu_);
      for (;;) {
        if (stopping_) return;
        const absl::Duration left = absl::FromUnixSeconds(end) - absl::Now();
        if (left <= absl::ZeroDuration()) break;
        wake_.WaitFor(mu_, absl::ToChronoNanoseconds(left));
      }
    }
    history_.Add(Sample(end));
  }
}

HistorySample Recorder::Sample(int64_t end) {
  HistorySample sample;
  sample.second = end - 1;
  int64_t total_blocks = 0;
  int64_t used_blocks = 0;
  for (const InstanceSnapshot& instance : pool_.Snapshot()) {
    const LoadTotals grown = loads_.Advance(instance.name, instance.load, /*from_zero=*/false);
    sample.prompt_tokens += grown.prompt_tokens;
    sample.generated_tokens += grown.generated_tokens;
    sample.running += instance.load.running_count();
    sample.waiting += instance.load.waiting_count();
    sample.serving_instances += instance.serving ? 1 : 0;
    total_blocks += instance.load.total_kv_block_count();
    used_blocks += instance.load.total_kv_block_count() - instance.load.free_kv_block_count();
  }
  if (total_blocks > 0) {
    sample.kv_cache_usage = static_cast<double>(used_blocks) / static_cast<double>(total_blocks);
  }
  sample.queued = pool_.waiting_count();
  sample.requests = requests_.TakeCounts();
  return sample;
}

}  // namespace vallm::gateway
