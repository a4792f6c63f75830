// Matrices in every format, whole and as windows, against values computed element by element.
#include "engine_service/model/matrix_source.h"

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine_service/device/half.h"
#include "gtest/gtest.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::vallm::testing::StatusIs;
using ::vallm::testing::TempDir;
using ::vallm::testing::TestTensor;
using ::vallm::testing::WriteSafetensors;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;
constexpr char kModule[] = "m";

template <typename T>
TestTensor Tensor(const std::string& suffix, const std::string& dtype, std::vector<int64_t> shape,
                  const std::vector<T>& values) {
  return {kModule + suffix, dtype, std::move(shape),
          std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T))};
}

// A quantised matrix and the checkpoint tensors that hold it, packed here bit by bit.
struct IntegerMatrix {
  IntegerMatrix(const IntegerConfig& config, int64_t rows, int64_t cols)
      : config(config), rows(rows), cols(cols) {
    std::mt19937 random(17);
    group = config.group_size > 0 ? config.group_size : cols;
    groups = (cols + group - 1) / group;
    const int maximum = (1 << config.bits) - 1;
    for (int64_t i = 0; i < rows * cols; ++i) q.push_back(random() % (maximum + 1));
    for (int64_t i = 0; i < rows * groups; ++i) {
      zero.push_back(1 + random() % maximum);
      half.push_back(0x2000 + random() % 0x400);  // 2^-7 and up
    }
  }

  double At(int64_t r, int64_t c) const {
    const int64_t b = c / group * rows + r;
    return (q[r * cols + c] - zero[b]) * double{HalfToFloat(half[b])};
  }

  std::vector<TestTensor> Tensors() const {
    const int per_word = 32 / config.bits;
    const bool awq = config.format == IntegerFormat::kAwq;
    // Bit at which value i of a word lies.
    const auto bit = [&](int64_t i) {
      constexpr int kPlaceOf[] = {0, 4, 1, 5, 2, 6, 3, 7};  // the inverse of 0 2 4 6 1 3 5 7
      return config.bits * (awq ? kPlaceOf[i] : static_cast<int>(i));
    };
    const int64_t words = rows / per_word;
    std::vector<uint32_t> qweight(rows * cols / per_word), qzeros(groups * words);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        const uint32_t value = q[r * cols + c];
        if (awq) {
          qweight[c * words + r / per_word] |= value << bit(r % per_word);
        } else {
          qweight[c / per_word * rows + r] |= value << bit(c % per_word);
        }
      }
      for (int64_t g = 0; g < groups; ++g) {
        const uint32_t stored =
            zero[g * rows + r] - (config.format == IntegerFormat::kGptq ? 1 : 0);
        qzeros[g * words + r / per_word] |= stored << bit(r % per_word);
      }
    }
    std::vector<int32_t> index;
    for (int64_t c = 0; c < cols; ++c) index.push_back(static_cast<int32_t>(c / group));
    std::vector<TestTensor> tensors;
    tensors.push_back(awq ? Tensor(".qweight", "I32", {cols, words}, qweight)
                          : Tensor(".qweight", "I32", {cols / per_word, rows}, qweight));
    tensors.push_back(Tensor(".qzeros", "I32", {groups, words}, qzeros));
    tensors.push_back(Tensor(".scales", "F16", {groups, rows}, half));
    if (!awq) tensors.push_back(Tensor(".g_idx", "I32", {cols}, index));
    return tensors;
  }

  IntegerConfig config;
  int64_t rows, cols, group = 0, groups = 0;
  std::vector<int> q, zero;
  std::vector<uint16_t> half;
};

// What a device makes of element (r, c) of a slice's window.
double Element(const WeightSlice& slice, int64_t r, int64_t c) {
  r += slice.row_begin;
  c += slice.col_begin;
  const int value = static_cast<const uint8_t*>(slice.data)[r * slice.matrix_cols + c];
  const int64_t block = r / slice.block_rows * slice.scale_cols + c / slice.block_cols;
  return (value - slice.zeros[block]) * double{slice.scales[block]};
}

class MatrixSourceTest : public ::testing::Test {
 protected:
  void Write(const std::vector<TestTensor>& tensors) {
    WriteSafetensors(dir_ / "model.safetensors", tensors);
    auto checkpoint = Checkpoint::Open(dir_.path());
    ASSERT_OK(checkpoint);
    checkpoint_ = *std::move(checkpoint);
  }
  absl::StatusOr<MatrixSource> Open(int64_t rows, int64_t cols) {
    return OpenMatrix(*checkpoint_, config_, {kModule, rows, cols, {0, rows}, {0, cols}});
  }
  absl::StatusOr<MatrixSource> OpenWith(const std::vector<TestTensor>& tensors, int64_t rows,
                                        int64_t cols) {
    Write(tensors);
    return Open(rows, cols);
  }

  void ExpectEveryWindowIsThatOfTheWhole(const IntegerMatrix& matrix) {
    config_.integer = matrix.config;
    Write(matrix.Tensors());
    const int64_t rows = matrix.rows, cols = matrix.cols;
    const Range row_ranges[] = {{0, rows}, {0, 3}, {rows / 2, rows}, {5, rows - 7}};
    const Range col_ranges[] = {{0, cols}, {0, 5}, {cols / 2, cols}, {cols / 3, cols - 9}};
    for (const Range& row : row_ranges) {
      for (const Range& col : col_ranges) {
        const auto source = OpenMatrix(*checkpoint_, config_, {kModule, rows, cols, row, col});
        ASSERT_OK(source);
        const WeightSlice& slice = source->slice;
        EXPECT_EQ(slice.type, matrix.config.bits == 4 ? WeightType::kUint4 : WeightType::kUint8);
        ASSERT_EQ(slice.row_count, row.size());
        ASSERT_EQ(slice.col_count, col.size());
        for (int64_t r = 0; r < row.size(); ++r) {
          for (int64_t c = 0; c < col.size(); ++c) {
            ASSERT_EQ(Element(slice, r, c), matrix.At(row.begin + r, col.begin + c))
                << row.begin << "+" << r << ", " << col.begin << "+" << c;
          }
        }
        // Columns are counted from where a segment begins, so that every window's sums are cut
        // alike (docs/packed-weights.md).
        EXPECT_EQ((col.begin - slice.col_begin) % 128, 0);
        EXPECT_EQ((col.begin - slice.col_begin) % matrix.group, 0);
      }
    }
  }

  const TempDir dir_;
  ModelConfig config_;
  std::unique_ptr<Checkpoint> checkpoint_;
};

IntegerConfig Format(IntegerFormat format, int32_t bits, int32_t group_size) {
  IntegerConfig config;
  config.format = format;
  config.bits = bits;
  config.group_size = group_size;
  return config;
}

TEST_F(MatrixSourceTest, UnpacksGptq) {
  for (const int32_t bits : {4, 8}) {
    for (const int32_t group : {32, 64, 128}) {
      SCOPED_TRACE(::testing::Message() << bits << " bits, groups of " << group);
      ExpectEveryWindowIsThatOfTheWhole({Format(IntegerFormat::kGptq, bits, group), 72, 256});
      ExpectEveryWindowIsThatOfTheWhole({Format(IntegerFormat::kGptqV2, bits, group), 16, 192});
    }
  }
}

TEST_F(MatrixSourceTest, TheLastGroupMayBeCutShort) {
  ExpectEveryWindowIsThatOfTheWhole({Format(IntegerFormat::kGptq, 4, 128), 24, 208});
  ExpectEveryWindowIsThatOfTheWhole({Format(IntegerFormat::kAwq, 4, 64), 24, 208});
}

TEST_F(MatrixSourceTest, GroupsNeedNotDivideASegment) {
  ExpectEveryWindowIsThatOfTheWhole({Format(IntegerFormat::kGptq, 4, 48), 16, 960});
}

TEST_F(MatrixSourceTest, UnpacksAwq) {
  for (const int32_t group : {32, 64, 128}) {
    ExpectEveryWindowIsThatOfTheWhole({Format(IntegerFormat::kAwq, 4, group), 72, 256});
  }
}

TEST_F(MatrixSourceTest, AMatrixMayBeOneGroup) {
  const IntegerMatrix matrix(Format(IntegerFormat::kGptqV2, 4, 0), 16, 96);
  config_.integer = matrix.config;
  Write(matrix.Tensors());
  const auto source = OpenMatrix(*checkpoint_, config_, {kModule, 16, 96, {3, 9}, {44, 71}});
  ASSERT_OK(source);
  for (int64_t r = 0; r < 6; ++r) {
    for (int64_t c = 0; c < 27; ++c) {
      ASSERT_EQ(Element(source->slice, r, c), matrix.At(3 + r, 44 + c));
    }
  }
}

TEST_F(MatrixSourceTest, AWindowTakesMemoryForItselfOnly) {
  config_.integer = Format(IntegerFormat::kGptq, 4, 32);
  Write(IntegerMatrix(*config_.integer, 256, 512).Tensors());
  const auto source = OpenMatrix(*checkpoint_, config_, {kModule, 256, 512, {0, 256}, {256, 288}});
  ASSERT_OK(source);
  EXPECT_EQ(source->slice.matrix_cols, 32);
  EXPECT_EQ(source->scales.size(), 256u);
}

TEST_F(MatrixSourceTest, GptqNeedsNoGroupIndex) {
  config_.integer = Format(IntegerFormat::kGptq, 4, 32);
  std::vector<TestTensor> tensors = IntegerMatrix(*config_.integer, 8, 64).Tensors();
  tensors.pop_back();
  EXPECT_OK(OpenWith(tensors, 8, 64));
  tensors.push_back({"m.g_idx", "I32", {0}, ""});
  EXPECT_OK(OpenWith(tensors, 8, 64));
}

TEST_F(MatrixSourceTest, AwqWithoutZeroPointsIsCentredOnEight) {
  config_.integer = Format(IntegerFormat::kAwq, 4, 32);
  const IntegerMatrix matrix(*config_.integer, 8, 32);
  std::vector<TestTensor> tensors = matrix.Tensors();
  std::erase_if(tensors, [](const TestTensor& t) { return t.name == "m.qzeros"; });
  EXPECT_THAT(OpenWith(tensors, 8, 32), StatusIs(absl::StatusCode::kNotFound, "m.qzeros"));
  config_.integer->zero_point = false;
  const auto source = Open(8, 32);
  ASSERT_OK(source);
  EXPECT_EQ(Element(source->slice, 5, 7),
            (matrix.q[5 * 32 + 7] - 8) * double{HalfToFloat(matrix.half[5])});
}

TEST_F(MatrixSourceTest, PlainMatricesAreViewsOfTheCheckpoint) {
  for (const char* dtype : {"BF16", "F16"}) {
    Write({Tensor(".weight", dtype, {2, 3}, std::vector<uint16_t>{1, 2, 3, 4, 5, 6})});
    const auto source = OpenMatrix(*checkpoint_, config_, {kModule, 2, 3, {1, 2}, {0, 3}});
    ASSERT_OK(source);
    EXPECT_EQ(source->slice.type, *dtype == 'B' ? WeightType::kBf16 : WeightType::kF16);
    EXPECT_EQ(source->slice.data, checkpoint_->Find("m.weight")->data.data());
    EXPECT_EQ(source->slice.row_begin, 1);
    EXPECT_EQ(source->slice.row_count, 1);
    EXPECT_EQ(source->values, nullptr);
  }
}

TEST_F(MatrixSourceTest, Fp8ScalesAreThoseOfTheWholeMatrixWithRaggedLastBlocks) {
  config_.fp8 = Fp8Config{.block_rows = 4, .block_cols = 8, .modules_to_not_convert = {}};
  Write({Tensor(".weight", "F8_E4M3", {6, 20}, std::vector<uint8_t>(120, 0x38)),
         Tensor(".weight_scale_inv", "F32", {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6})});
  const auto source = OpenMatrix(*checkpoint_, config_, {kModule, 6, 20, {3, 6}, {5, 20}});
  ASSERT_OK(source);
  EXPECT_EQ(source->slice.type, WeightType::kF8E4m3);
  EXPECT_EQ(source->slice.row_begin, 3);
  EXPECT_EQ(source->slice.col_begin, 5);
  EXPECT_EQ(source->slice.scale_cols, 3);
  EXPECT_EQ(source->scales, (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST_F(MatrixSourceTest, ABiasOfZerosIsNone) {
  const TestTensor weight = Tensor(".weight", "BF16", {1, 2}, std::vector<uint16_t>{1, 2});
  EXPECT_OK(OpenWith({weight, Tensor(".bias", "F16", {1}, std::vector<uint16_t>{0x8000})}, 1, 2));
  EXPECT_THAT(OpenWith({weight, Tensor(".bias", "F16", {1}, std::vector<uint16_t>{1})}, 1, 2),
              StatusIs(kUnsupported, "'m.bias' is not zero"));
}

TEST_F(MatrixSourceTest, RefusesIntegersThatDoNotFit) {
  const IntegerConfig gptq = Format(IntegerFormat::kGptq, 4, 32);
  const IntegerConfig awq = Format(IntegerFormat::kAwq, 4, 32);
  const struct {
    IntegerConfig config;
    const char* tensor;  // what is changed; it is removed where `shape` is empty
    TestTensor replacement;
    absl::StatusCode code;
    const char* text;
  } cases[] = {
      {gptq, "m.qzeros", {}, absl::StatusCode::kNotFound, "m.qzeros"},
      {gptq, "m.scales", {}, absl::StatusCode::kNotFound, "m.scales"},
      {gptq,
       "m.qweight",
       {"m.qweight", "I32", {16, 8}, std::string(512, 0)},
       kInvalid,
       "'m.qweight' has shape [16, 8]; want [8, 16]"},
      {gptq,
       "m.qweight",
       {"m.qweight", "F32", {8, 16}, std::string(512, 0)},
       kInvalid,
       "'m.qweight' is F32; want I32"},
      {gptq,
       "m.qzeros",
       {"m.qzeros", "I32", {2, 16}, std::string(128, 0)},
       kInvalid,
       "'m.qzeros' has shape [2, 16]; want [2, 2]"},
      {gptq,
       "m.qzeros",
       {"m.qzeros", "U8", {2, 2}, std::string(4, 0)},
       kInvalid,
       "'m.qzeros' is U8; want I32"},
      {gptq,
       "m.scales",
       {"m.scales", "F16", {16, 2}, std::string(64, 0)},
       kInvalid,
       "'m.scales' has shape [16, 2]; want [2, 16]"},
      {gptq,
       "m.scales",
       {"m.scales", "F16", {2, 16}, std::string(64, '\x7e')},
       kInvalid,
       "'m.scales': value 0 is nan"},
      {gptq,
       "m.g_idx",
       {"m.g_idx", "I32", {64}, std::string(256, 0)},
       kUnsupported,
       "'m.g_idx': column 32 is in group 0, not 1"},
      {gptq,
       "m.g_idx",
       {"m.g_idx", "I32", {63}, std::string(252, 0)},
       kInvalid,
       "'m.g_idx' has shape [63]"},
      {gptq,
       "m.g_idx",
       {"m.weight", "BF16", {16, 64}, std::string(2048, 0)},
       kInvalid,
       "'m.qweight' and 'm.weight' are both there"},
      {awq,
       "m.qweight",
       {"m.qweight", "I32", {8, 16}, std::string(512, 0)},
       kInvalid,
       "'m.qweight' has shape [8, 16]; want [64, 2]"},
      {awq,
       "m.qweight",
       {"m.qweight", "I64", {64, 2}, std::string(1024, 0)},
       kInvalid,
       "'m.qweight' is I64; want I32"},
      {awq, "m.qzeros", {}, absl::StatusCode::kNotFound, "m.qzeros"},
  };
  for (const auto& c : cases) {
    config_.integer = c.config;
    std::vector<TestTensor> tensors = IntegerMatrix(c.config, 16, 64).Tensors();
    std::erase_if(tensors, [&](const TestTensor& t) { return t.name == c.tensor; });
    if (!c.replacement.name.empty()) tensors.push_back(c.replacement);
    EXPECT_THAT(OpenWith(tensors, 16, 64), StatusIs(c.code, c.text)) << c.text;
  }
  config_.integer = gptq;
  Write(IntegerMatrix(gptq, 16, 64).Tensors());
  EXPECT_THAT(Open(12, 64), StatusIs(kInvalid,
                                     "m has 12 output features; packed weights need a "
                                     "multiple of 8"));
  EXPECT_THAT(Open(16, 60), StatusIs(kInvalid, "60 input features"));
  config_.integer->modules_to_not_convert = {kModule};
  EXPECT_THAT(Open(16, 64), StatusIs(kInvalid, "modules_to_not_convert lists 'm'"));
  config_.integer.reset();
  EXPECT_THAT(Open(16, 64), StatusIs(kInvalid, "config.json says nothing of GPTQ or AWQ"));
}

}  // namespace
}  // namespace vallm::engine
