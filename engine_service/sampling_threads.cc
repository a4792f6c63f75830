#include "engine_service/sampling_threads.h"

#include <glog/logging.h>

#include <utility>

namespace vallm::engine {

SamplingThreads::SamplingThreads(int32_t threads) : samplers_(static_cast<size_t>(threads)) {
  auto pool = ThreadPool::Create(threads, /*pin_to=*/{});
  CHECK(pool.ok()) << pool.status();
  pool_ = *std::move(pool);
}

}  // namespace vallm::engine
