#include "gateway/front_door.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using ::testing::HasSubstr;

class FrontDoorTest : public ::testing::Test {
 protected:
  static HttpResponse Say(const HttpRequest&) { return {}; }

  FrontDoor Door(FrontDoorOptions options, std::vector<std::string> keys = {}) {
    ring_ = *KeyRing::Create({.keys = std::move(keys)});
    std::vector<Route> routes;
    routes.push_back({.method = "GET", .path = "/instances", .handler = Say});
    routes.push_back({.method = "POST", .path = "/drain", .handler = Say});
    routes.push_back({.method = "DELETE", .path = "/instances", .handler = Say});
    routes.push_back({.method = "GET", .path = "/metrics", .handler = Say, .needs_key = false});
    return FrontDoor(std::move(options), std::move(routes), *ring_, metrics_);
  }
  static FrontDoorOptions Management(bool is_loopback) {
    return {.is_management = true, .is_loopback = is_loopback};
  }
  // The status that refuses the request; 200: it may come in.
  static int Status(FrontDoor& door, const std::string& method, const std::string& path,
                    HttpHeaders headers = {}) {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.headers = std::move(headers);
    const std::optional<HttpResponse> refusal = door.Screen(request);
    return refusal ? refusal->status : 200;
  }

  GatewayMetrics metrics_{"model", RoutingPolicyKind::kPrefixAware};
  std::unique_ptr<KeyRing> ring_;
};

TEST_F(FrontDoorTest, AnAdminKeyOpensEverythingOnTheManagementPort) {
  FrontDoor door = Door(Management(/*is_loopback=*/false), {"admin"});
  const HttpHeaders key = {{"Authorization", "bearer admin"}};
  for (const auto& [method, path] : {std::pair("GET", "/instances"), std::pair("POST", "/drain"),
                                     std::pair("DELETE", "/instances")}) {
    EXPECT_EQ(Status(door, method, path), 401) << method;
    EXPECT_EQ(Status(door, method, path, {{"Authorization", "Basic admin"}}), 401) << method;
    EXPECT_EQ(Status(door, method, path, key), 200) << method;
  }
  EXPECT_EQ(Status(door, "GET", "/metrics"), 200);
}

TEST_F(FrontDoorTest, RefusalsAreCountedUnderThePathsOfRoutes) {
  ring_ = *KeyRing::Create({.keys = {"secret"}});
  const std::vector<Route> routes = {{.method = "GET", .path = "/models/", .handler = Say}};
  FrontDoor door({}, routes, *ring_, metrics_);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Status(door, "GET", absl::StrCat("/models/", i)), 401);
    EXPECT_EQ(Status(door, "POST", absl::StrCat("/models/", i)), 405);
    EXPECT_EQ(Status(door, "GET", absl::StrCat("/nowhere/", i)), 404);
  }
  std::set<std::string> paths;
  for (const absl::string_view line : absl::StrSplit(metrics_.Text({}), '\n')) {
    constexpr absl::string_view kLabel = "handler=\"";
    const size_t begin = line.find(kLabel);
    if (begin == absl::string_view::npos) continue;
    const absl::string_view value = line.substr(begin + kLabel.size());
    paths.emplace(value.substr(0, value.find('"')));
  }
  EXPECT_THAT(paths, ::testing::UnorderedElementsAre("/models/", "unknown"));
}

TEST_F(FrontDoorTest, WithoutAnAdminKeyNothingIsChangedFromElsewhere) {
  FrontDoor door = Door(Management(/*is_loopback=*/false));
  EXPECT_EQ(Status(door, "GET", "/instances"), 200);
  EXPECT_EQ(Status(door, "POST", "/drain", {{"Host", "localhost"}}), 403);
  EXPECT_EQ(Status(door, "DELETE", "/instances", {{"Host", "localhost"}}), 403);
  HttpRequest request;
  request.method = "POST";
  request.path = "/drain";
  EXPECT_THAT(door.Screen(request)->body, HasSubstr("--admin-api-key"));
}

TEST_F(FrontDoorTest, OnLoopbackOnlyThisMachineAndItsOwnPagesChangeAnything) {
  FrontDoor door = Door(Management(/*is_loopback=*/true));
  const auto drain = [&](HttpHeaders headers) { return Status(door, "POST", "/drain", headers); };
  EXPECT_EQ(drain({{"Host", "127.0.0.1:9000"}}), 200);
  EXPECT_EQ(drain({{"Host", "localhost:9000"}, {"Origin", "http://localhost:9000"}}), 200);
  EXPECT_EQ(drain({{"Host", "[::1]:9000"}, {"Origin", "http://[::1]:9000"}}), 200);
  // A page from elsewhere, and one whose name has been made to point here.
  EXPECT_EQ(drain({{"Host", "localhost:9000"}, {"Origin", "http://evil.example"}}), 403);
  EXPECT_EQ(drain({{"Host", "localhost:9000"}, {"Origin", "null"}}), 403);
  EXPECT_EQ(drain({{"Host", "evil.example"}, {"Origin", "http://evil.example"}}), 403);
  EXPECT_EQ(drain({{"Host", "127.evil.example"}, {"Origin", "http://127.evil.example"}}), 403);
  EXPECT_EQ(drain({}), 403);
}

}  // namespace
}  // namespace vallm::gateway
