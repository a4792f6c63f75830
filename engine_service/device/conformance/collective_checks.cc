// All-reduce among ranks: devices of their own on threads of their own, joined by the host's tree
// (law E3).
#include <barrier>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine_service/device/conformance/check.h"
#include "engine_service/device/conformance/test_weights.h"

namespace vallm::engine::conformance {
namespace {

void SumAlongTree(std::vector<std::vector<float>>& parts) {
  for (size_t left = parts.size() / 2; left >= 1; left /= 2) {
    for (size_t r = 0; r < left; ++r) {
      for (size_t i = 0; i < parts[r].size(); ++i) {
        parts[r][i] = parts[2 * r][i] + parts[2 * r + 1][i];
      }
    }
  }
}

// What the ranks on threads of this process share.
struct Meeting {
  explicit Meeting(int32_t ranks) : parts(static_cast<size_t>(ranks)), barrier(ranks) {}
  std::vector<std::vector<float>> parts;
  std::barrier<> barrier;
};

class MeetingCollective final : public Collective {
 public:
  MeetingCollective(Meeting& meeting, int32_t rank) : meeting_(meeting), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(meeting_.parts.size()); }
  absl::Status AllReduceSum(std::span<float> data) override {
    meeting_.parts[static_cast<size_t>(rank_)].assign(data.begin(), data.end());
    meeting_.barrier.arrive_and_wait();
    if (rank_ == 0) SumAlongTree(meeting_.parts);
    meeting_.barrier.arrive_and_wait();
    std::copy(meeting_.parts[0].begin(), meeting_.parts[0].end(), data.begin());
    meeting_.barrier.arrive_and_wait();
    return absl::OkStatus();
  }

 private:
  Meeting& meeting_;
  const int32_t rank_;
};

// One rank's part: `count` floats of its own are summed, those behind are left alone. Every rank
// makes all calls, whatever its own outcome, so that none waits for ever.
absl::Status RunRank(const Target& target, const Options& options, Meeting& meeting, int32_t rank,
                     const std::vector<float>& values, int64_t count, std::vector<float>& result) {
  MeetingCollective collective(meeting, rank);
  absl::Status status;
  std::unique_ptr<Device> device;
  std::unique_ptr<Buffer> buffer;
  auto opened = target.open(rank, collective.size());
  status = opened.status();
  if (opened.ok()) {
    device = *std::move(opened);
    Bench bench(target, options, *device);
    auto put = bench.Put(values);
    status = put.status();
    if (put.ok()) buffer = *std::move(put);
  }
  for (int round = 0; round < 2; ++round) {
    if (status.ok()) {
      status = device->AllReduceSum(*buffer, count, collective);
    } else {
      std::vector<float> nothing(static_cast<size_t>(count));
      (void)collective.AllReduceSum(nothing);
    }
  }
  if (!status.ok()) return status;
  Bench bench(target, options, *device);
  VALLM_ASSIGN_OR_RETURN(result, bench.Get<float>(*buffer, static_cast<int64_t>(values.size())));
  return absl::OkStatus();
}

absl::StatusOr<Finding> RanksJoinAlongTheTree(Bench& bench, int32_t ranks, int64_t count) {
  const Target& target = bench.target();
  if (ranks > target.max_ranks) {
    return Skipped(std::string(
        absl::StrCat("needs ", ranks, " dies; there are ", target.max_ranks, " from this one on")));
  }
  // Of very different sizes, so that every other order of adding shows.
  std::vector<std::vector<float>> values;
  for (int32_t rank = 0; rank < ranks; ++rank) {
    std::vector<float>& own =
        values.emplace_back(RandomFloats(count + 5, static_cast<uint64_t>(80 + rank)));
    for (float& x : own) x *= rank % 3 == 0 ? 1000.0f : 0.01f;
  }
  std::vector<std::vector<float>> sums = values;
  SumAlongTree(sums);
  sums.assign(static_cast<size_t>(ranks), sums[0]);
  SumAlongTree(sums);  // the second round
  Meeting meeting(ranks);
  std::vector<std::vector<float>> results(static_cast<size_t>(ranks));
  std::vector<absl::Status> statuses(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int32_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      const auto r = static_cast<size_t>(rank);
      statuses[r] = RunRank(target, bench.options(), meeting, rank, values[r], count, results[r]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t r = 0; r < results.size(); ++r) {
    VALLM_RETURN_IF_ERROR(statuses[r]);
    std::vector<float> want(sums[0].begin(), sums[0].begin() + count);
    want.insert(want.end(), values[r].begin() + count, values[r].end());
    const Finding same = SameBits(results[r], want, static_cast<int64_t>(want.size()),
                                  std::string(absl::StrCat("two sums on rank ", r)));
    if (same.outcome != Outcome::kPassed) return same;
  }
  return Passed();
}

absl::StatusOr<Finding> OneRankKeepsItsData(Bench& bench) {
  const std::vector<float> values = RandomFloats(100, 90);
  VALLM_ASSIGN_OR_RETURN(const auto buffer, bench.Put(values));
  SingleRank alone;
  VALLM_RETURN_IF_ERROR(bench.device().AllReduceSum(*buffer, 100, alone));
  VALLM_ASSIGN_OR_RETURN(const auto got, bench.Get<float>(*buffer, 100));
  return SameBits(got, values, 100, "the data of a single rank");
}

// A peer that is gone is UNAVAILABLE, not a hang and not wrong data.
absl::StatusOr<Finding> PassesOnThatAPeerIsGone(Bench& bench) {
  class Gone final : public Collective {
   public:
    int rank() const override { return 0; }
    int size() const override { return 2; }
    absl::Status AllReduceSum(std::span<float> /*data*/) override {
      return absl::UnavailableError("rank 1 is gone");
    }
  };
  if (bench.target().max_ranks < 2) return Skipped("needs 2 dies");
  VALLM_ASSIGN_OR_RETURN(const auto device, bench.target().open(0, 2));
  VALLM_ASSIGN_OR_RETURN(const auto buffer, device->Allocate(64));
  Gone gone;
  return Refused(device->AllReduceSum(*buffer, 16, gone), absl::StatusCode::kUnavailable,
                 "an all-reduce without its peer");
}

}  // namespace

std::vector<Check> CollectiveChecks() {
  std::vector<Check> checks = {
      {"all_reduce_sum/exact/one rank", false, OneRankKeepsItsData},
      {"all_reduce_sum/refuses/a peer is gone", false, PassesOnThatAPeerIsGone}};
  for (const int32_t ranks : {2, 4, 8}) {
    for (const int64_t count : {1, 2048, 33 * 2048}) {
      checks.push_back(
          {std::string(absl::StrCat("all_reduce_sum/tree/", ranks, " ranks, ", count, " floats")),
           false, [=](Bench& b) { return RanksJoinAlongTheTree(b, ranks, count); }});
    }
  }
  return checks;
}

}  // namespace vallm::engine::conformance
