// The description of the API names the endpoints that there are, and no others.

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"

namespace vallm::testing {
namespace {

using ::testing::IsEmpty;

class GatewayOpenApiTest : public GatewayFixture {
 protected:
  void SetUp() override {
    GatewayFixture::SetUp();
    Start();
    const Json document = Json::parse(Client().Get("/openapi.json")->body);
    for (const auto& [path, operations] : document["paths"].items()) {
      for (const auto& [method, operation] : operations.items()) {
        described_.push_back(absl::StrCat(absl::AsciiStrToUpper(method), " ", path));
      }
    }
  }

  // Whether `route`, "GET /v1/models/", is that of `operation`, "GET /v1/models/{id}".
  static bool IsOf(const std::string& route, const std::string& operation) {
    const bool tree = route.back() == '/';
    return tree ? absl::StartsWith(operation, route + "{") : operation == route;
  }

  std::vector<std::string> described_;
};

TEST_F(GatewayOpenApiTest, EveryRouteIsDescribed) {
  std::vector<std::string> missing;
  for (const std::string& route : gateway_->endpoints()) {
    if (std::none_of(described_.begin(), described_.end(),
                     [&](const std::string& operation) { return IsOf(route, operation); })) {
      missing.push_back(route);
    }
  }
  EXPECT_THAT(missing, IsEmpty()) << "describe it in gateway/openapi/openapi.json";
}

TEST_F(GatewayOpenApiTest, EverythingDescribedHasARoute) {
  const std::vector<std::string> routes = gateway_->endpoints();
  ASSERT_FALSE(routes.empty());
  std::vector<std::string> invented;
  for (const std::string& operation : described_) {
    if (std::none_of(routes.begin(), routes.end(),
                     [&](const std::string& route) { return IsOf(route, operation); })) {
      invented.push_back(operation);
    }
  }
  EXPECT_THAT(invented, IsEmpty());
}

TEST_F(GatewayOpenApiTest, SaysItsVersion) {
  const auto version = Json::parse(Client().Get("/version")->body)["version"];
  EXPECT_EQ(Json::parse(Client().Get("/openapi.json")->body)["info"]["version"], version);
}

}  // namespace
}  // namespace vallm::testing
