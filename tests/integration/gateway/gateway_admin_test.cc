// The management port: what its JSON says about requests, instances and the last minutes.

#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"

namespace vallm::testing {
namespace {

using ::testing::HasSubstr;

class GatewayAdminTest : public GatewayFixture {
 protected:
  httplib::Result Get(const std::string& path) {
    httplib::Client client("127.0.0.1", gateway_->management_port());
    return client.Get(path);
  }
  Json GetJson(const std::string& path) {
    const auto result = Get(path);
    if (!result || result->status != 200) {
      ADD_FAILURE() << path << ": " << (result ? result->body : "no answer");
      return {};
    }
    return Json::parse(result->body);
  }
  Json Recent() { return GetJson("/api/v1/requests")["recent"]; }
};

TEST_F(GatewayAdminTest, ThePageComesWithItsPolicyAndNeedsNothingElse) {
  Start();
  const auto page = Get("/");
  ASSERT_EQ(page->status, 200);
  EXPECT_THAT(page->get_header_value("Content-Type"), HasSubstr("text/html"));
  EXPECT_THAT(page->get_header_value("Content-Security-Policy"), HasSubstr("default-src 'none'"));
  EXPECT_EQ(page->get_header_value("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(page->body, HasSubstr("<script>"));
}

TEST_F(GatewayAdminTest, TheApiHasNoBusinessOnTheMainPort) {
  Start();
  EXPECT_EQ(Client().Get("/api/v1/overview")->status, 404);
  EXPECT_EQ(Client().Get("/")->status, 404);
  httplib::Client management("127.0.0.1", gateway_->management_port());
  EXPECT_EQ(management.Post("/v1/chat/completions", "{}", "application/json")->status, 404);
}

TEST_F(GatewayAdminTest, TheOverviewShowsEveryInstance) {
  engines_.push_back(std::make_unique<FakeEngine>());
  engine(1).SetFingerprint("beef");
  Start();
  const Json overview = GetJson("/api/v1/overview");
  EXPECT_EQ(overview["models"], Json({"fake"}));
  EXPECT_FALSE(overview["draining"]);
  EXPECT_EQ(overview["queue"]["waiting"], 0);
  ASSERT_EQ(overview["instances"].size(), 2u);
  std::set<std::string> addresses;
  for (const Json& instance : overview["instances"]) {
    EXPECT_EQ(instance["state"], "serving");
    EXPECT_EQ(instance["serving"], true);
    EXPECT_EQ(instance["breaker"], "closed");
    EXPECT_EQ(instance["limit"], 4);
    addresses.insert(instance["address"]);
  }
  EXPECT_EQ(addresses, std::set<std::string>({engine(0).address(), engine(1).address()}));
  EXPECT_EQ(overview["instances"][1]["fingerprint"], "beef");
}

TEST_F(GatewayAdminTest, ARequestIsSeenInItsPhasesAndAfterwards) {
  engine().SetScript({.tokens = Ids("abcdefghij"), .delay = absl::Milliseconds(50)});
  Start();
  std::thread client([&] {
    const SseAnswer answer = Stream("/v1/chat/completions", Chat(), {{"X-Request-Id", "mine"}});
    EXPECT_TRUE(answer.done);
  });
  Json seen;
  for (int i = 0; i < 2000 && seen.is_null(); ++i) {
    const Json active = GetJson("/api/v1/requests")["active"];
    if (!active.empty() && active[0]["phase"] == "decode") seen = active[0];
    absl::SleepFor(absl::Milliseconds(2));
  }
  client.join();
  ASSERT_FALSE(seen.is_null()) << "never seen while it decoded";
  EXPECT_EQ(seen["id"], "mine");
  EXPECT_EQ(seen["status"], 0);
  EXPECT_EQ(seen["instances"], Json({"engine-0"}));
  EXPECT_GT(seen["completion_tokens"], 0);

  while (!GetJson("/api/v1/requests")["active"].empty()) absl::SleepFor(absl::Milliseconds(1));
  const Json entry = Recent()[0];
  EXPECT_EQ(entry["id"], "mine");
  EXPECT_EQ(entry["endpoint"], "/v1/chat/completions");
  EXPECT_EQ(entry["model"], "fake");
  EXPECT_EQ(entry["phase"], "done");
  EXPECT_EQ(entry["status"], 200);
  EXPECT_EQ(entry["finish_reason"], "stop");
  EXPECT_EQ(entry["streamed"], true);
  EXPECT_EQ(entry["completion_tokens"], 10);
  EXPECT_GT(entry["prompt_tokens"], 0);
  EXPECT_GT(entry["decode_ms"], 300);
  EXPECT_THAT(entry["answer_id"].get<std::string>(), HasSubstr("chatcmpl-"));
  const double sum = entry["tokenize_ms"].get<double>() + entry["queue_ms"].get<double>() +
                     entry["prefill_ms"].get<double>() + entry["decode_ms"].get<double>();
  EXPECT_NEAR(sum, entry["total_ms"].get<double>(), 1);
}

TEST_F(GatewayAdminTest, AQueuedRequestIsSeenWaiting) {
  engines_[0] = std::make_unique<FakeEngine>(/*max_batch_size=*/1);
  engine().SetScript({.tokens = Ids("a"), .hang_after = 0, .fail_times = 1});
  Start();
  std::thread first([&] {
    httplib::Client client = Client();
    client.set_read_timeout(1);  // it gives up
    client.Post("/v1/chat/completions", Chat().dump(), "application/json");
  });
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  std::thread second([&] { EXPECT_EQ(Post("/v1/completions", {{"prompt", "x"}})->status, 200); });
  Json seen;
  for (int i = 0; i < 2000 && seen.is_null(); ++i) {
    const Json requests = GetJson("/api/v1/requests");
    for (const Json& entry : requests["active"]) {
      if (entry["endpoint"] == "/v1/completions" && entry["phase"] == "queue") seen = entry;
    }
    absl::SleepFor(absl::Milliseconds(1));
  }
  first.join();
  second.join();
  ASSERT_FALSE(seen.is_null());
  EXPECT_EQ(seen["instances"], Json::array());
  EXPECT_EQ(seen["prefill_ms"], nullptr);
  // The one whose client went.
  Json aborted;
  for (int i = 0; i < 2000 && aborted.is_null(); ++i) {
    for (const Json& entry : Recent()) {
      if (entry["status"] == 499) aborted = entry;
    }
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(aborted["endpoint"], "/v1/chat/completions");
}

TEST_F(GatewayAdminTest, BadRequestsAreThereToo) {
  Start();
  EXPECT_EQ(Post("/v1/chat/completions", {{"messages", 3}})->status, 400);
  const Json entry = Recent()[0];
  EXPECT_EQ(entry["status"], 400);
  EXPECT_EQ(entry["queue_ms"], nullptr);
  EXPECT_EQ(Client().Get("/v1/models")->status, 200);
  EXPECT_EQ(Recent().size(), 1u) << "only what is posted is listed";
}

TEST_F(GatewayAdminTest, NeverShowsWhatIsSaid) {
  engine().SetScript({.tokens = Ids("answer-secret")});
  Start();
  ASSERT_EQ(Post("/v1/chat/completions", Chat("prompt-secret"))->status, 200);
  for (const char* path : {"/api/v1/requests", "/api/v1/overview", "/api/v1/history"}) {
    EXPECT_THAT(Get(path)->body, Not(HasSubstr("secret"))) << path;
  }
}

TEST_F(GatewayAdminTest, TheHistoryCountsWhatHappened) {
  engine().SetScript({.tokens = Ids("abcd")});
  Start();
  // The first sample only says where the engine's count stands.
  for (bool known = false; !known; absl::SleepFor(absl::Milliseconds(20))) {
    const Json series = GetJson("/api/v1/history?step=1")["series"];
    for (const Json& serving : series["serving_instances"]) known |= serving == 1;
  }
  ASSERT_EQ(Post("/v1/chat/completions", Chat())->status, 200);
  ASSERT_EQ(Post("/v1/chat/completions", {{"messages", 3}})->status, 400);
  double tokens = 0;
  int succeeded = 0;
  int refused = 0;
  for (int i = 0; i < 300 && (succeeded == 0 || refused == 0 || tokens == 0); ++i) {
    tokens = succeeded = refused = 0;
    const Json series = GetJson("/api/v1/history?step=1")["series"];
    for (size_t at = 0; at < series["succeeded"].size(); ++at) {
      if (series["succeeded"][at].is_null()) continue;
      tokens += series["generated_tokens_per_second"][at].get<double>();
      succeeded += series["succeeded"][at].get<int>();
      refused += series["refused"][at].get<int>();
      EXPECT_EQ(series["first_token_p50_ms"][at].is_null(), series["succeeded"][at] == 0);
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_EQ(tokens, 4);
  EXPECT_EQ(succeeded, 1);
  EXPECT_EQ(refused, 1);
}

TEST_F(GatewayAdminTest, BadQueriesAreRefusedByName) {
  Start();
  ExpectError(Get("/api/v1/history?step=0"), 400, "step", "", "from 1 to 600");
  ExpectError(Get("/api/v1/history?step=5x"), 400, "step", "", "integer");
  ExpectError(Get("/api/v1/history?from=-1"), 400, "from", "", "integer");
  ExpectError(Get("/api/v1/requests?limit=501"), 400, "limit", "", "from 1 to 500");
  EXPECT_TRUE(GetJson("/api/v1/history?from=9000000000&step=10")["times"].empty());
}

}  // namespace
}  // namespace vallm::testing
