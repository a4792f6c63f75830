// What the ranks of a tensor-parallel group do together. The forward pass calls it; the executor
// implements it over shared memory.
//
// Every rank of the group must make the same calls in the same order with the same sizes. One
// thread per rank calls. A call that cannot finish because a peer is gone or the group is stopping
// returns UNAVAILABLE on every surviving rank; the group is unusable from then on.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_COLLECTIVE_H_
#define VALLM_ENGINE_SERVICE_DEVICE_COLLECTIVE_H_

#include <span>

#include "absl/status/status.h"

namespace vallm::engine {

class Collective {
 public:
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // data[i] becomes the sum of data[i] over all ranks, added as a balanced binary tree over rank
  // order ((r0+r1)+(r2+r3))+…, the same bits on every rank. Together with a subtree that each rank
  // reduced itself this is one fixed tree whatever the number of ranks.
  // REQUIRES: size() is a power of two.
  virtual absl::Status AllReduceSum(std::span<float> data) = 0;
};

// The group of one rank: the sum over ranks is the rank's own data.
class SingleRank final : public Collective {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  absl::Status AllReduceSum(std::span<float> /*data*/) override { return absl::OkStatus(); }
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_COLLECTIVE_H_
