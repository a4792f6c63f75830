#include "common/grpc_status.h"

#include <gtest/gtest.h>

#include <string>

namespace vallm {
namespace {

TEST(GrpcStatusTest, GoesThereAndBack) {
  const absl::Status status = absl::NotFoundError("no such thing: é");
  EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
}

TEST(GrpcStatusTest, CutsWhatDoesNotFitAHeader) {
  std::string text = "a";
  for (int i = 0; i < 100'000; ++i) text += "é";
  const std::string message = ToGrpc(absl::InvalidArgumentError(text)).error_message();
  EXPECT_LT(message.size() * 3, 8192u);
  const size_t cut = message.find("...");
  ASSERT_NE(cut, std::string::npos);
  EXPECT_EQ(cut % 2, 1u) << "not within a character";
  EXPECT_EQ(message.substr(0, cut), text.substr(0, cut));
  EXPECT_EQ(message.substr(cut), "... (" + std::to_string(text.size() - cut) + " more bytes)");
}

TEST(GrpcStatusTest, AMessageIsValidUtf8) {
  EXPECT_EQ(ToGrpc(absl::InternalError("half \xC3 of it")).error_message(),
            "half \xEF\xBF\xBD of it");
}

}  // namespace
}  // namespace vallm
