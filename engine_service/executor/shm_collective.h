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
  // `memory` must outlive the collective. REQUIRES (CHECKed): the number of ranks is 1, 2, 4, 8 or
  // 16.
  ShmCollective(GroupMemory& memory, int32_t rank);

  int rank() const override { return rank_; }
  int size() const override { return memory_.shape().ranks; }
  // One or two meetings per piece of kExchangeFloats. Errors, besides the interface's: INTERNAL
  // when ranks came with different sizes.
  absl::Status AllReduceSum(std::span<float> data) override;

 private:
  // Every rank adds for itself what all have handed in.
  absl::Status AddAll(std::span<float> piece, uint32_t half);
  // Every rank adds one slice, and takes the others' sums.
  absl::Status ScatterAndGather(std::span<float> piece, uint32_t half);
  // Returns when all ranks have come here; what each wrote before is visible to all then.
  absl::Status Meet();
  absl::Status CheckSizes(size_t floats, uint32_t half) const;

  GroupMemory& memory_;
  const int32_t rank_;
  Spinner spinner_;
  uint32_t pieces_ = 0;    // handed in so far
  uint32_t meetings_ = 0;  // so far
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_EXECUTOR_SHM_COLLECTIVE_H_
