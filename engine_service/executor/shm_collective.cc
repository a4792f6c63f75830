#include "engine_service/executor/shm_collective.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

constexpr int kMaxRanks = 16;
constexpr size_t kLine = 64 / sizeof(float);  // floats of a cache line
// From this size on, and with more than two ranks, each rank adds a slice for all. Below, a second
// meeting costs more than the additions and transfers that it saves.
constexpr size_t kScatterFloats = 4096;

using Parts = std::array<const float*, kMaxRanks>;

// Balanced tree over parts[first .. first + kCount). The order of the additions is the contract:
// pinned by shm_collective_test.
template <int kCount>
inline float TreeSum(const Parts& parts, int first, size_t i) {
  if constexpr (kCount == 1) {
    return parts[first][i];
  } else {
    return TreeSum<kCount / 2>(parts, first, i) + TreeSum<kCount / 2>(parts, first + kCount / 2, i);
  }
}

// `out` may be one of the parts, otherwise they do not overlap.
template <int kCount>
void SumInto(Parts parts, float* out, size_t count) {
#pragma GCC ivdep
  for (size_t i = 0; i < count; ++i) out[i] = TreeSum<kCount>(parts, 0, i);
}

void SumInto(const Parts& parts, int ranks, float* out, size_t count) {
  switch (ranks) {
    case 2:
      return SumInto<2>(parts, out, count);
    case 4:
      return SumInto<4>(parts, out, count);
    case 8:
      return SumInto<8>(parts, out, count);
    default:
      return SumInto<16>(parts, out, count);
  }
}

void Copy(std::span<const float> from, float* to) {
  std::memcpy(to, from.data(), from.size_bytes());
}

}  // namespace

ShmCollective::ShmCollective(GroupMemory& memory, int32_t rank)
    : memory_(memory), rank_(rank), spinner_(memory.spin_limits().between_ranks) {
  const int32_t ranks = memory.shape().ranks;
  CHECK(ranks == 1 || ranks == 2 || ranks == 4 || ranks == 8 || ranks == kMaxRanks)
      << ranks << " ranks";
}

absl::Status ShmCollective::AllReduceSum(std::span<float> data) {
  if (size() == 1) return absl::OkStatus();
  for (size_t begin = 0; begin < data.size(); begin += kExchangeFloats) {
    const size_t count = std::min(data.size() - begin, static_cast<size_t>(kExchangeFloats));
    // The halves take turns. A rank that writes a half again has met the others once since, so they
    // are done with what it held.
    const uint32_t half = pieces_++ % 2;
    const std::span<float> piece = data.subspan(begin, count);
    memory_.rank(rank_).piece_floats[half] = static_cast<int64_t>(count);
    const bool scatter = size() > 2 && count >= kScatterFloats;
    VALLM_RETURN_IF_ERROR(scatter ? ScatterAndGather(piece, half) : AddAll(piece, half));
  }
  return absl::OkStatus();
}

absl::Status ShmCollective::AddAll(std::span<float> piece, uint32_t half) {
  Copy(piece, memory_.exchange(rank_, half).data());
  VALLM_RETURN_IF_ERROR(Meet());
  VALLM_RETURN_IF_ERROR(CheckSizes(piece.size(), half));
  Parts parts{};
  for (int32_t peer = 0; peer < size(); ++peer) {
    parts[static_cast<size_t>(peer)] = memory_.exchange(peer, half).data();
  }
  parts[static_cast<size_t>(rank_)] = piece.data();
  SumInto(parts, size(), piece.data(), piece.size());
  return absl::OkStatus();
}

absl::Status ShmCollective::ScatterAndGather(std::span<float> piece, uint32_t half) {
  // Slices end at cache lines, so that no line is written by two ranks.
  const auto ranks = static_cast<size_t>(size());
  const size_t width = (piece.size() / ranks + kLine - 1) / kLine * kLine;
  const auto slice_of = [&](int32_t rank) {
    const size_t begin = std::min(piece.size(), width * static_cast<size_t>(rank));
    const bool last = rank == size() - 1;
    return piece.subspan(begin,
                         last ? piece.size() - begin : std::min(width, piece.size() - begin));
  };
  const auto exchanged = [&](int32_t rank, std::span<const float> slice) {
    return memory_.exchange(rank, half).data() + (slice.data() - piece.data());
  };
  for (int32_t peer = 0; peer < size(); ++peer) {
    if (peer != rank_) Copy(slice_of(peer), exchanged(rank_, slice_of(peer)));
  }
  VALLM_RETURN_IF_ERROR(Meet());
  VALLM_RETURN_IF_ERROR(CheckSizes(piece.size(), half));

  const std::span<float> own = slice_of(rank_);
  Parts parts{};
  for (int32_t peer = 0; peer < size(); ++peer) {
    parts[static_cast<size_t>(peer)] = exchanged(peer, own);
  }
  parts[static_cast<size_t>(rank_)] = own.data();
  SumInto(parts, size(), own.data(), own.size());
  // Nobody reads the rank's own slice of its own half before the second meeting.
  Copy(own, exchanged(rank_, own));
  VALLM_RETURN_IF_ERROR(Meet());
  for (int32_t peer = 0; peer < size(); ++peer) {
    const std::span<float> slice = slice_of(peer);
    if (peer != rank_) Copy({exchanged(peer, slice), slice.size()}, slice.data());
  }
  return absl::OkStatus();
}

absl::Status ShmCollective::Meet() {
  memory_.rank(rank_).arrived.Set(++meetings_);
  for (int32_t peer = 0; peer < size(); ++peer) {
    if (memory_.rank(peer).arrived.WaitFor(meetings_, memory_.aborted(), spinner_) ==
        WaitResult::kAborted) {
      return absl::UnavailableError("the worker group was stopped");
    }
  }
  return absl::OkStatus();
}

absl::Status ShmCollective::CheckSizes(size_t floats, uint32_t half) const {
  for (int32_t peer = 0; peer < size(); ++peer) {
    const int64_t theirs = memory_.rank(peer).piece_floats[half];
    if (theirs == static_cast<int64_t>(floats)) continue;
    return absl::InternalError(absl::StrCat("all-reduce of ", floats, " floats on rank ", rank_,
                                            " met one of ", theirs, " on rank ", peer));
  }
  return absl::OkStatus();
}

}  // namespace vallm::engine
