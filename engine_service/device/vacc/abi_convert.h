// The one place where the types of the plug-in interface and ours are mapped to each other, in both
// directions: the host's side uses it, and so does the reference plug-in.
//
// All functions are pure. Views stay views: what a converted slice points to must outlive it.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_VACC_ABI_CONVERT_H_
#define VALLM_ENGINE_SERVICE_DEVICE_VACC_ABI_CONVERT_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/device/device.h"
#include "engine_service/device/vacc/vallm_device_abi.h"

namespace vallm::engine {

// ---- The host's side ---------------------------------------------------------------------------

// OK for VALLM_OK. Otherwise the code of the same number with "`where`: text"; codes that the
// interface does not have become INTERNAL and are named. `text` need not end.
absl::Status StatusFromAbi(vallm_code code, const vallm_error& error, std::string_view where);

int32_t WeightTypeToAbi(WeightType type);
int32_t KvTypeToAbi(KvType type);
vallm_head_layout HeadsToAbi(const HeadLayout& heads);
vallm_weight_slice SliceToAbi(const WeightSlice& slice);

// ---- A plug-in's side --------------------------------------------------------------------------

// The code of the same number, and the message, cut if need be, in *error. Codes that the interface
// does not have become VALLM_INTERNAL.
vallm_code StatusToAbi(const absl::Status& status, vallm_error* error);

// Errors: UNIMPLEMENTED (a value of a later version).
absl::StatusOr<WeightType> WeightTypeFromAbi(int32_t type);
absl::StatusOr<KvType> KvTypeFromAbi(int32_t type);
HeadLayout HeadsFromAbi(const vallm_head_layout& heads);
absl::StatusOr<WeightSlice> SliceFromAbi(const vallm_weight_slice& slice);

// Same layout on both sides, so that arrays need no copy.
static_assert(sizeof(AttentionChunk) == sizeof(vallm_attention_chunk));
inline const vallm_attention_chunk* ChunksToAbi(std::span<const AttentionChunk> chunks) {
  return reinterpret_cast<const vallm_attention_chunk*>(chunks.data());
}
inline std::span<const AttentionChunk> ChunksFromAbi(const vallm_attention_chunk* chunks,
                                                     int32_t count) {
  return {reinterpret_cast<const AttentionChunk*>(chunks), static_cast<size_t>(count)};
}

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_VACC_ABI_CONVERT_H_
