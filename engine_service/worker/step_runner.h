// What a worker runs steps on.
//
// Not thread-safe. No processes and no shared memory here but the Collective it is given.
#ifndef VALLM_ENGINE_SERVICE_WORKER_STEP_RUNNER_H_
#define VALLM_ENGINE_SERVICE_WORKER_STEP_RUNNER_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "engine_service/device/collective.h"
#include "engine_service/model/step.h"

namespace vallm::engine {

class StepRunner {
 public:
  virtual ~StepRunner() = default;

  virtual int64_t vocab_size() const = 0;

  // Runs `step` and writes this rank's columns of logits [rows, vocab_size] f32, the others left as
  // they are. After an error the runner is of no use.
  virtual absl::Status Run(const Step& step, Collective& collective, std::span<float> logits) = 0;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_WORKER_STEP_RUNNER_H_
