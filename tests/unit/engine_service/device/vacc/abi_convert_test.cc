#include "engine_service/device/vacc/abi_convert.h"

#include <cstring>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::vallm::testing::StatusIs;

TEST(AbiConvertTest, EveryTypeGoesThereAndBack) {
  std::set<int32_t> seen;
  for (const WeightType type : {WeightType::kBf16, WeightType::kF16, WeightType::kF8E4m3,
                                WeightType::kUint4, WeightType::kUint8}) {
    EXPECT_TRUE(seen.insert(WeightTypeToAbi(type)).second);
    EXPECT_EQ(*WeightTypeFromAbi(WeightTypeToAbi(type)), type);
  }
  for (const KvType type : {KvType::kBf16, KvType::kF32, KvType::kF8E4m3}) {
    EXPECT_EQ(*KvTypeFromAbi(KvTypeToAbi(type)), type);
  }
  EXPECT_THAT(WeightTypeFromAbi(99), StatusIs(absl::StatusCode::kUnimplemented, "99"));
  EXPECT_THAT(KvTypeFromAbi(-1), StatusIs(absl::StatusCode::kUnimplemented, "-1"));
}

TEST(AbiConvertTest, SlicesKeepEveryField) {
  const float scales[1] = {1};
  const int16_t zeros[1] = {8};
  const WeightSlice slice = {.type = WeightType::kUint4,
                             .data = scales,
                             .matrix_cols = 1,
                             .row_begin = 2,
                             .row_count = 3,
                             .col_begin = 4,
                             .col_count = 5,
                             .scales = scales,
                             .zeros = zeros,
                             .scale_cols = 6,
                             .block_rows = 7,
                             .block_cols = 8};
  const auto back = SliceFromAbi(SliceToAbi(slice));
  ASSERT_OK(back);
  EXPECT_EQ(back->type, slice.type);
  EXPECT_EQ(back->data, slice.data);
  EXPECT_EQ(back->matrix_cols, 1);
  EXPECT_EQ(back->row_begin, 2);
  EXPECT_EQ(back->row_count, 3);
  EXPECT_EQ(back->col_begin, 4);
  EXPECT_EQ(back->col_count, 5);
  EXPECT_EQ(back->scales, scales);
  EXPECT_EQ(back->zeros, zeros);
  EXPECT_EQ(back->scale_cols, 6);
  EXPECT_EQ(back->block_rows, 7);
  EXPECT_EQ(back->block_cols, 8);
  WeightSlice plain = slice;
  plain.type = WeightType::kBf16;
  const vallm_weight_slice sent = SliceToAbi(plain);
  EXPECT_EQ(sent.scales, nullptr);
  EXPECT_EQ(sent.zeros, nullptr);
  EXPECT_EQ(sent.block_cols, 0);
}

TEST(AbiConvertTest, StatusesKeepCodeAndText) {
  vallm_error error;
  EXPECT_EQ(StatusToAbi(absl::OkStatus(), &error), VALLM_OK);
  EXPECT_EQ(StatusToAbi(absl::ResourceExhaustedError("2 of 1 bytes"), &error),
            VALLM_RESOURCE_EXHAUSTED);
  EXPECT_THAT(StatusFromAbi(VALLM_RESOURCE_EXHAUSTED, error, "die 3"),
              StatusIs(absl::StatusCode::kResourceExhausted, "die 3: 2 of 1 bytes"));
  EXPECT_EQ(StatusToAbi(absl::DataLossError("x"), &error), VALLM_INTERNAL);
  EXPECT_EQ(StatusToAbi(absl::InternalError(std::string(2000, 'x')), &error), VALLM_INTERNAL);
  EXPECT_EQ(std::strlen(error.message), sizeof(error.message) - 1);
}

TEST(AbiConvertTest, PluginsMayLeaveTheTextOutOrUnterminatedAndUseUnknownCodes) {
  vallm_error error = {};
  EXPECT_THAT(StatusFromAbi(VALLM_UNAVAILABLE, error, "d"),
              StatusIs(absl::StatusCode::kUnavailable, "d: the device is lost"));
  EXPECT_THAT(StatusFromAbi(77, error, "d"), StatusIs(absl::StatusCode::kInternal, "code 77"));
  EXPECT_THAT(StatusFromAbi(-1, error, "d"), StatusIs(absl::StatusCode::kInternal, "code -1"));
  std::memset(error.message, 'y', sizeof(error.message));
  EXPECT_EQ(StatusFromAbi(VALLM_INTERNAL, error, "d").message().size(), sizeof(error.message) + 3);
}

}  // namespace
}  // namespace vallm::engine
