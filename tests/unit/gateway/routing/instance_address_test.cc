#include "gateway/routing/instance_address.h"

#include "gmock/gmock.h"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using testing::StatusIs;

TEST(InstanceAddressTest, TakesHostsIpv6AndSockets) {
  for (const char* address : {"127.0.0.1:50051", "vllm-engine-0.vllm-engine:1", "[::1]:65535",
                              "unix:/run/vallm/engine-0", "unix:engine"}) {
    EXPECT_OK(CheckInstanceAddress(address)) << address;
  }
  const auto parsed = ParseHostAndPort("[fe80::1]:50051");
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->host, "fe80::1");
  EXPECT_EQ(parsed->port, 50051);
}

TEST(InstanceAddressTest, RefusesAnythingElse) {
  for (const std::string& address :
       {std::string(""), std::string("host"), std::string("host:"), std::string(":1"),
        std::string("host:0"), std::string("host:65536"), std::string("host:-1"),
        std::string("host:+1"), std::string("host: 1"), std::string("ho st:1"),
        std::string("::1:50051"), std::string("[]:1"), std::string("host:1\n"),
        std::string("unix:"), std::string("unix:/a b"), std::string(300, 'a') + ":1"}) {
    EXPECT_THAT(CheckInstanceAddress(address),
                StatusIs(absl::StatusCode::kInvalidArgument, "is not an address"))
        << address;
  }
}

}  // namespace
}  // namespace vallm::gateway
