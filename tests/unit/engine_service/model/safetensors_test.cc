#include "engine_service/model/safetensors.h"

#include <string>

#include "engine_service/model/checkpoint.h"
#include "gtest/gtest.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using ::vallm::testing::SafetensorsBytes;
using ::vallm::testing::StatusIs;
using ::vallm::testing::TempDir;
using ::vallm::testing::WriteFile;
using ::vallm::testing::WriteSafetensors;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Text(const TensorView& view) {
  return {reinterpret_cast<const char*>(view.data.data()), view.data.size()};
}

TEST(SafetensorsFileTest, ReadsTensors) {
  const TempDir dir;
  WriteSafetensors(dir / "x", {{"a", "BF16", {2, 1}, "abcd"},
                               {"b", "F8_E4M3", {3}, "efg"},
                               {"empty", "F32", {0, 5}, ""},
                               {"scalar", "F32", {}, "wxyz"},
                               {"odd", "F64", {1}, "12345678"}});
  const auto file = SafetensorsFile::Open(dir / "x");
  ASSERT_OK(file);
  const auto& tensors = (*file)->tensors();
  ASSERT_EQ(tensors.size(), 5u);
  EXPECT_EQ(tensors.at("a").dtype, DType::kBf16);
  EXPECT_THAT(tensors.at("a").shape, ElementsAre(2, 1));
  EXPECT_EQ(Text(tensors.at("a")), "abcd");
  EXPECT_EQ(tensors.at("b").dtype, DType::kF8E4m3);
  EXPECT_EQ(Text(tensors.at("b")), "efg");
  EXPECT_EQ(tensors.at("empty").data.size(), 0u);
  EXPECT_EQ(Text(tensors.at("scalar")), "wxyz");
  EXPECT_EQ(tensors.at("odd").dtype, DType::kOther);
  (*file)->ReleasePages(tensors.at("a").data);
  EXPECT_EQ(Text(tensors.at("a")), "abcd") << "released pages can be read again";
}

struct Broken {
  std::string header;
  const char* text;
};

TEST(SafetensorsFileTest, RefusesBrokenHeaders) {
  const TempDir dir;
  const std::string data(8, 'x');
  const Broken cases[] = {
      {"nonsense", "not a JSON object"},
      {"[]", "not a JSON object"},
      {R"({"a":3})", "tensor 'a': has no dtype"},
      {R"({"a":{"dtype":"F32","shape":[2]}})", "has no dtype, shape or data_offsets"},
      {R"({"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}})", "dtype is not a string"},
      {R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", "shape is not a list"},
      {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "not a size"},
      {R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", "not a size"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}})", "not a range"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", "not a range"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})", "not a range"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", "not a range"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,0]}})",
       "not a range"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "span 8 bytes"},
      {R"({"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,8]}})", "span 8 bytes"},
      // The product of the dimensions wraps around to 8 bytes.
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})",
       "span 8 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
           "b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})",
       "'a' and 'b' overlap"},
  };
  for (const Broken& broken : cases) {
    WriteFile(dir / "x", SafetensorsBytes(broken.header, data));
    EXPECT_THAT(SafetensorsFile::Open(dir / "x"), StatusIs(kInvalid, broken.text)) << broken.header;
  }
}

TEST(SafetensorsFileTest, RefusesFilesOfTheWrongLength) {
  const TempDir dir;
  WriteFile(dir / "x", "");
  EXPECT_THAT(SafetensorsFile::Open(dir / "x"), StatusIs(kInvalid, "too short"));
  WriteFile(dir / "x", "1234567");
  EXPECT_THAT(SafetensorsFile::Open(dir / "x"), StatusIs(kInvalid, "too short"));
  WriteFile(dir / "x", std::string("\x10\0\0\0\0\0\0\0{}", 10));
  EXPECT_THAT(SafetensorsFile::Open(dir / "x"), StatusIs(kInvalid, "header of 16 bytes"));
  WriteFile(dir / "x", std::string(8, '\xff') + "{}");
  EXPECT_THAT(SafetensorsFile::Open(dir / "x"), StatusIs(kInvalid, "does not fit"));
  EXPECT_THAT(SafetensorsFile::Open(dir / "none"),
              StatusIs(absl::StatusCode::kNotFound, "cannot open"));
  EXPECT_THAT(SafetensorsFile::Open(dir.path()), StatusIs(kInvalid, "not a regular file"));
}

TEST(CheckpointTest, ReadsOneFile) {
  const TempDir dir;
  EXPECT_THAT(Checkpoint::Open(dir.path()),
              StatusIs(absl::StatusCode::kNotFound, "model.safetensors"));
  WriteSafetensors(dir / "model.safetensors", {{"a", "U8", {2}, "xy"}});
  const auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_OK(checkpoint);
  EXPECT_TRUE((*checkpoint)->Contains("a"));
  EXPECT_FALSE((*checkpoint)->Contains("b"));
  EXPECT_EQ((*checkpoint)->total_bytes(), 2);
  ASSERT_OK((*checkpoint)->Find("a"));
  EXPECT_EQ(Text(*(*checkpoint)->Find("a")), "xy");
  EXPECT_THAT((*checkpoint)->Find("b"), StatusIs(absl::StatusCode::kNotFound, "no tensor 'b'"));
}

TEST(CheckpointTest, ReadsTheFilesOfAnIndex) {
  const TempDir dir;
  WriteSafetensors(dir / "m1.safetensors", {{"a", "U8", {1}, "x"}});
  WriteSafetensors(dir / "m2.safetensors", {{"b", "U8", {1}, "y"}});
  WriteFile(dir / "model.safetensors.index.json",
            R"({"weight_map":{"a":"m1.safetensors","b":"m2.safetensors"}})");
  const auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_OK(checkpoint);
  EXPECT_EQ(Text(*(*checkpoint)->Find("a")), "x");
  EXPECT_EQ(Text(*(*checkpoint)->Find("b")), "y");
}

TEST(CheckpointTest, RefusesAnIndexThatIsWrong) {
  const TempDir dir;
  WriteSafetensors(dir / "m1.safetensors", {{"a", "U8", {1}, "x"}});
  WriteSafetensors(dir / "m2.safetensors", {{"a", "U8", {1}, "y"}, {"b", "U8", {1}, "y"}});
  const auto open = [&](const std::string& index) {
    WriteFile(dir / "model.safetensors.index.json", index);
    return Checkpoint::Open(dir.path()).status();
  };
  EXPECT_THAT(open("{"), StatusIs(kInvalid, "not valid JSON"));
  EXPECT_THAT(open("{}"), StatusIs(kInvalid, "no weight_map"));
  EXPECT_THAT(open(R"({"weight_map":{"a":7}})"), StatusIs(kInvalid, "tensor 'a'"));
  EXPECT_THAT(open(R"({"weight_map":{"a":"../x"}})"), StatusIs(kInvalid, "this directory"));
  EXPECT_THAT(open(R"({"weight_map":{"a":".."}})"), StatusIs(kInvalid, "this directory"));
  EXPECT_THAT(open(R"({"weight_map":{"c":"m1.safetensors"}})"),
              StatusIs(kInvalid, "tensor 'c' is not in m1.safetensors"));
  EXPECT_THAT(open(R"({"weight_map":{"a":"m1.safetensors","b":"m2.safetensors"}})"),
              StatusIs(kInvalid, "both in"));
  EXPECT_THAT(open(R"({"weight_map":{"a":"gone.safetensors"}})"),
              StatusIs(absl::StatusCode::kNotFound, "gone"));
}

}  // namespace
}  // namespace vallm::engine
