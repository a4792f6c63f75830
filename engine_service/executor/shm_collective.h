// Collective over the group's shared memory (docs/step-ring.md, "Exchange").
#ifndef VALLM_ENGINE_SERVICE_EXECUTOR_SHM_COLLECTIVE_H_
#define VALLM_ENGINE_SERVICE_EXECUTOR_SHM_COLLECTIVE_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "engine_service/device/collective.h"
#include "engine_service/executor/group_memory.h"

namespace vallm::engine {

class ShmCollective final : public Collective {
 public:
  // `memory` must outlive the collective. REQUIRES (CHECKed): the number of ranks is 1, 2, 4 or 8.
  ShmCollective(GroupMemory& memory, int32_t rank);

  int rank() const override { return rank_; }
  int size() const override { return memory_.shape().ranks; }
  // Every rank adds for itself what all have handed in: one meeting per piece of kExchangeFloats.
  // Errors, besides the interface's: INTERNAL when ranks came with different sizes.
  absl::Status AllReduceSum(std::span<float> data) override;

 private:
  absl::Status ReducePiece(std::span<float> piece);

  GroupMemory& memory_;
  const int32_t rank_;
  uint32_t pieces_ = 0;  // handed in so far
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_EXECUTOR_SHM_COLLECTIVE_H_
