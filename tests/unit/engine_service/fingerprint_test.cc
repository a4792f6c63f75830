#include "engine_service/fingerprint.h"

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;

class FingerprintTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    Write("config.json", "{}");
    Write("model.safetensors", std::string(3 << 20, 'w'));
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  std::string Fingerprint(const std::string& numerics = "") {
    return ModelFingerprint(dir_, numerics).value();
  }

  const std::filesystem::path dir_ =
      std::filesystem::path(::testing::TempDir()) / "fingerprint_test";
};

TEST_F(FingerprintTest, IsStableAndIgnoresWhatDoesNotCompute) {
  const std::string fingerprint = Fingerprint();
  EXPECT_EQ(fingerprint.size(), 16u);
  EXPECT_EQ(Fingerprint(), fingerprint);
  Write("README.md", "hello");
  Write("generation_config.json", "{}");
  EXPECT_EQ(Fingerprint(), fingerprint);
}

TEST_F(FingerprintTest, ChangesWithEverythingThatDoes) {
  const std::string fingerprint = Fingerprint();
  EXPECT_NE(Fingerprint("yarn"), fingerprint);
  Write("config.json", "{ }");
  EXPECT_NE(Fingerprint(), fingerprint);
  Write("config.json", "{}");
  EXPECT_EQ(Fingerprint(), fingerprint);
  std::string weights(3 << 20, 'w');
  weights.back() = 'x';  // far behind the header
  Write("model.safetensors", weights);
  EXPECT_NE(Fingerprint(), fingerprint);
  Write("model.safetensors", std::string((3 << 20) + 1, 'w'));
  EXPECT_NE(Fingerprint(), fingerprint);
}

TEST_F(FingerprintTest, TheSameBytesElsewhereAreTheSameModel) {
  const std::filesystem::path copy = std::filesystem::path(::testing::TempDir()) / "fingerprint_2";
  std::filesystem::remove_all(copy);
  std::filesystem::copy(dir_, copy);
  EXPECT_EQ(ModelFingerprint(copy, "").value(), Fingerprint());
  std::filesystem::remove_all(copy);
}

TEST_F(FingerprintTest, AMissingDirectoryIsNotFound) {
  EXPECT_THAT(ModelFingerprint("/nonexistent", ""),
              StatusIs(absl::StatusCode::kNotFound, "/nonexistent"));
}

}  // namespace
}  // namespace vallm::engine
