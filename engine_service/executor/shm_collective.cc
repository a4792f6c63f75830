#include "engine_service/executor/shm_collective.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

constexpr int kMaxRanks = 8;
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

template <int kCount>
void SumInto(const Parts& parts, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = TreeSum<kCount>(parts, 0, i);
}

}  // namespace

ShmCollective::ShmCollective(GroupMemory& memory, int32_t rank) : memory_(memory), rank_(rank) {
  const int32_t ranks = memory.shape().ranks;
  CHECK(ranks == 1 || ranks == 2 || ranks == 4 || ranks == 8) << ranks << " ranks";
}

absl::Status ShmCollective::AllReduceSum(std::span<float> data) {
  if (size() == 1) return absl::OkStatus();
  for (size_t begin = 0; begin < data.size(); begin += kExchangeFloats) {
    const size_t count = std::min(data.size() - begin, static_cast<size_t>(kExchangeFloats));
    VALLM_RETURN_IF_ERROR(ReducePiece(data.subspan(begin, count)));
  }
  return absl::OkStatus();
}

absl::Status ShmCollective::ReducePiece(std::span<float> piece) {
  // The halves take turns. A rank that writes a half again has met the others once since, so they
  // are done with what it held.
  const uint32_t half = pieces_ % 2;
  RankArea& own = memory_.rank(rank_);
  std::copy(piece.begin(), piece.end(), memory_.exchange(rank_, half).begin());
  own.piece_floats[half] = static_cast<int64_t>(piece.size());
  own.arrived.Set(++pieces_);

  Parts parts{};
  for (int32_t peer = 0; peer < size(); ++peer) {
    RankArea& area = memory_.rank(peer);
    if (area.arrived.WaitFor(pieces_, memory_.aborted()) == WaitResult::kAborted) {
      return absl::UnavailableError("the worker group was stopped");
    }
    if (area.piece_floats[half] != static_cast<int64_t>(piece.size())) {
      return absl::InternalError(absl::StrCat("all-reduce of ", piece.size(), " floats on rank ",
                                              rank_, " met one of ", area.piece_floats[half],
                                              " on rank ", peer));
    }
    parts[static_cast<size_t>(peer)] = memory_.exchange(peer, half).data();
  }
  switch (size()) {
    case 2:
      SumInto<2>(parts, piece);
      break;
    case 4:
      SumInto<4>(parts, piece);
      break;
    default:
      SumInto<8>(parts, piece);
      break;
  }
  return absl::OkStatus();
}

}  // namespace vallm::engine
