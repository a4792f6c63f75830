// A Collective among threads of one process, for tests that run a tensor-parallel group in process.
#ifndef VALLM_TESTS_TESTING_THREAD_COLLECTIVE_H_
#define VALLM_TESTS_TESTING_THREAD_COLLECTIVE_H_

#include <barrier>
#include <memory>
#include <span>
#include <vector>

#include "engine_service/device/collective.h"

namespace vallm::testing {

// What the ranks of one group share. Must outlive their collectives.
class ThreadGroup {
 public:
  explicit ThreadGroup(int size) : size_(size), data_(size), barrier_(size) {}
  int size() const { return size_; }

 private:
  friend class ThreadCollective;
  const int size_;
  std::vector<std::span<float>> data_;
  std::barrier<> barrier_;
};

class ThreadCollective final : public engine::Collective {
 public:
  ThreadCollective(ThreadGroup& group, int rank) : group_(group), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return group_.size_; }

  absl::Status AllReduceSum(std::span<float> data) override {
    group_.data_[rank_] = data;
    group_.barrier_.arrive_and_wait();
    std::vector<float> sum(data.size());
    std::vector<float> parts(group_.size_);
    for (size_t i = 0; i < data.size(); ++i) {
      for (int r = 0; r < group_.size_; ++r) parts[r] = group_.data_[r][i];
      for (int width = group_.size_ / 2; width >= 1; width /= 2) {
        for (int r = 0; r < width; ++r) parts[r] = parts[2 * r] + parts[2 * r + 1];
      }
      sum[i] = parts[0];
    }
    group_.barrier_.arrive_and_wait();  // every rank has read before any writes
    std::copy(sum.begin(), sum.end(), data.begin());
    return absl::OkStatus();
  }

 private:
  ThreadGroup& group_;
  const int rank_;
};

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_THREAD_COLLECTIVE_H_
