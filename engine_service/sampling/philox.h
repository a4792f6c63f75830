// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3" (SC 2011): a bijection of a 128-bit counter under a 64-bit key. It has no state, so the
// n-th draw of a request is known without its predecessors. Pure, thread-safe.
#ifndef VALLM_ENGINE_SERVICE_SAMPLING_PHILOX_H_
#define VALLM_ENGINE_SERVICE_SAMPLING_PHILOX_H_

#include <array>
#include <cstdint>

namespace vallm::engine {

// Ten rounds; words are little end first. Pinned by the authors' known-answer vectors.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// The number in [0, 1), a multiple of 2^-53, that output position `position` of a request with
// `seed` is drawn with. Depends on the two arguments alone.
double UniformAt(int64_t seed, int64_t position);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_PHILOX_H_
