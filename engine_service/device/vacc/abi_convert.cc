#include "engine_service/device/vacc/abi_convert.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::engine {
namespace {

// Both enumerations in one list: a value that is missing here is a compiler's or a test's find.
struct WeightTypeName {
  WeightType type;
  int32_t abi;
};
constexpr WeightTypeName kWeightTypes[] = {
    {WeightType::kBf16, VALLM_WEIGHT_BF16},      {WeightType::kF16, VALLM_WEIGHT_F16},
    {WeightType::kF8E4m3, VALLM_WEIGHT_F8_E4M3}, {WeightType::kUint4, VALLM_WEIGHT_UINT4},
    {WeightType::kUint8, VALLM_WEIGHT_UINT8},
};
struct KvTypeName {
  KvType type;
  int32_t abi;
};
constexpr KvTypeName kKvTypes[] = {
    {KvType::kBf16, VALLM_KV_BF16},
    {KvType::kF32, VALLM_KV_F32},
    {KvType::kF8E4m3, VALLM_KV_F8_E4M3},
};

static_assert(kKvBlockSize == VALLM_KV_BLOCK_SIZE);
static_assert(offsetof(AttentionChunk, row_count) == offsetof(vallm_attention_chunk, row_count));
static_assert(offsetof(AttentionChunk, start_position) ==
              offsetof(vallm_attention_chunk, start_position));
static_assert(offsetof(AttentionChunk, block_begin) ==
              offsetof(vallm_attention_chunk, block_begin));

bool IsAbiCode(int code) {
  constexpr int kCodes[] = {VALLM_OK,
                            VALLM_INVALID_ARGUMENT,
                            VALLM_NOT_FOUND,
                            VALLM_RESOURCE_EXHAUSTED,
                            VALLM_UNIMPLEMENTED,
                            VALLM_INTERNAL,
                            VALLM_UNAVAILABLE};
  return std::find(std::begin(kCodes), std::end(kCodes), code) != std::end(kCodes);
}

std::string_view DefaultText(vallm_code code) {
  switch (code) {
    case VALLM_INVALID_ARGUMENT:
      return "invalid argument";
    case VALLM_NOT_FOUND:
      return "no such die";
    case VALLM_RESOURCE_EXHAUSTED:
      return "out of device memory";
    case VALLM_UNIMPLEMENTED:
      return "not implemented";
    case VALLM_UNAVAILABLE:
      return "the device is lost";
    default:
      return "internal error";
  }
}

}  // namespace

absl::Status StatusFromAbi(vallm_code code, const vallm_error& error, std::string_view where) {
  if (code == VALLM_OK) return absl::OkStatus();
  const size_t length = strnlen(error.message, sizeof(error.message));
  std::string_view text(error.message, length);
  if (text.empty()) text = DefaultText(code);
  if (IsAbiCode(code)) {
    return {static_cast<absl::StatusCode>(code), absl::StrCat(ToAbsl(where), ": ", ToAbsl(text))};
  }
  return absl::InternalError(absl::StrCat(ToAbsl(where), ": ", ToAbsl(text), " (unknown code ",
                                          code, " from the plug-in)"));
}

vallm_code StatusToAbi(const absl::Status& status, vallm_error* error) {
  if (status.ok()) return VALLM_OK;
  const absl::string_view message = status.message();
  const size_t length = std::min(message.size(), sizeof(error->message) - 1);
  std::memcpy(error->message, message.data(), length);
  error->message[length] = '\0';
  const int code = static_cast<int>(status.code());
  return IsAbiCode(code) ? code : VALLM_INTERNAL;
}

int32_t WeightTypeToAbi(WeightType type) {
  for (const WeightTypeName& entry : kWeightTypes) {
    if (entry.type == type) return entry.abi;
  }
  return -1;  // every plug-in refuses it
}

absl::StatusOr<WeightType> WeightTypeFromAbi(int32_t type) {
  for (const WeightTypeName& entry : kWeightTypes) {
    if (entry.abi == type) return entry.type;
  }
  return absl::UnimplementedError(absl::StrCat("unknown weight type ", type));
}

int32_t KvTypeToAbi(KvType type) {
  for (const KvTypeName& entry : kKvTypes) {
    if (entry.type == type) return entry.abi;
  }
  return -1;
}

absl::StatusOr<KvType> KvTypeFromAbi(int32_t type) {
  for (const KvTypeName& entry : kKvTypes) {
    if (entry.abi == type) return entry.type;
  }
  return absl::UnimplementedError(absl::StrCat("unknown KV cache type ", type));
}

vallm_head_layout HeadsToAbi(const HeadLayout& heads) {
  return {heads.q_heads, heads.kv_heads, heads.head_dim};
}

HeadLayout HeadsFromAbi(const vallm_head_layout& heads) {
  return {heads.q_heads, heads.kv_heads, heads.head_dim};
}

vallm_weight_slice SliceToAbi(const WeightSlice& slice) {
  const bool scaled = IsScaled(slice.type);
  return {.type = WeightTypeToAbi(slice.type),
          .block_rows = scaled ? slice.block_rows : 0,
          .block_cols = scaled ? slice.block_cols : 0,
          .reserved = 0,
          .data = slice.data,
          .matrix_cols = slice.matrix_cols,
          .row_begin = slice.row_begin,
          .row_count = slice.row_count,
          .col_begin = slice.col_begin,
          .col_count = slice.col_count,
          .scales = scaled ? slice.scales : nullptr,
          .zeros = scaled ? slice.zeros : nullptr,
          .scale_cols = scaled ? slice.scale_cols : 0};
}

absl::StatusOr<WeightSlice> SliceFromAbi(const vallm_weight_slice& slice) {
  VALLM_ASSIGN_OR_RETURN(const WeightType type, WeightTypeFromAbi(slice.type));
  return WeightSlice{.type = type,
                     .data = slice.data,
                     .matrix_cols = slice.matrix_cols,
                     .row_begin = slice.row_begin,
                     .row_count = slice.row_count,
                     .col_begin = slice.col_begin,
                     .col_count = slice.col_count,
                     .scales = slice.scales,
                     .zeros = slice.zeros,
                     .scale_cols = slice.scale_cols,
                     .block_rows = slice.block_rows,
                     .block_cols = slice.block_cols};
}

}  // namespace vallm::engine
