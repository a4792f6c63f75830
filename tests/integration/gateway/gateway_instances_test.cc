// Instances that come and go while the gateway runs, and what decides which of them takes a
// request: over HTTP and gRPC, with fake services behind it.

#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"

namespace vallm::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 4000 && !condition(); ++i) absl::SleepFor(absl::Milliseconds(5));
  return condition();
}

class GatewayInstancesTest : public GatewayFixture {
 protected:
  httplib::Client Management() {
    httplib::Client client("127.0.0.1", gateway_->management_port());
    client.set_read_timeout(20);
    return client;
  }
  Json List() { return Json::parse(Management().Get("/instances")->body)["data"]; }
  // Of the instance at `address`, or null.
  Json At(const std::string& address) {
    for (const Json& instance : List()) {
      if (instance["address"] == address) return instance;
    }
    return nullptr;
  }
  bool Serves(const std::string& address) {
    const Json instance = At(address);
    return !instance.is_null() && instance["serving"] == true;
  }
  httplib::Result Order(const std::string& id, const std::string& what) {
    return Management().Post("/instances/" + id + "/" + what, "", "application/json");
  }
  std::string InstanceOf(const Json& body, const httplib::Headers& headers = {}) {
    const auto result = Post("/v1/chat/completions", body, headers);
    EXPECT_EQ(result->status, 200) << result->body;
    return result->get_header_value("X-Instance");
  }
  std::string Metrics() { return Management().Get("/metrics")->body; }

  void Engines(int count) {
    while (static_cast<int>(engines_.size()) < count) {
      engines_.push_back(std::make_unique<FakeEngine>());
    }
    for (auto& engine : engines_) engine->SetScript({.tokens = Ids("fine")});
  }
};

TEST_F(GatewayInstancesTest, ListsWhatIsKnown) {
  Engines(1);
  Start();
  const Json instance = List()[0];
  EXPECT_EQ(instance["id"], "engine-0");
  EXPECT_EQ(instance["address"], engine().address());
  EXPECT_EQ(instance["sources"], Json({"flag"}));
  EXPECT_EQ(instance["state"], "serving");
  EXPECT_EQ(instance["admin_state"], "enabled");
  EXPECT_EQ(instance["health"], "ok");
  EXPECT_EQ(instance["breaker"], "closed");
  EXPECT_EQ(instance["max"], 4);
  EXPECT_EQ(instance["fingerprint"], "f00d");
  EXPECT_EQ(Json::parse(Management().Get("/instances/engine-0")->body)["id"], "engine-0");
  ExpectError(Management().Get("/instances/engine-1"), 404, "", "not_found", "engine-1");
}

TEST_F(GatewayInstancesTest, AnOperatorAddsDrainsEnablesAndRemoves) {
  Engines(1);
  Start();
  FakeEngine other;
  other.SetScript({.tokens = Ids("fine")});
  const std::string body = Json{{"address", other.address()}}.dump();
  const auto added = Management().Post("/instances", body, "application/json");
  EXPECT_EQ(added->status, 201) << added->body;
  EXPECT_EQ(Json::parse(added->body)["id"], "engine-1");
  ExpectError(Management().Post("/instances", body, "application/json"), 409, "", "already_exists",
              "engine-1");
  ASSERT_TRUE(Eventually([&] { return Serves(other.address()); }));
  EXPECT_EQ(At(other.address())["sources"], Json({"admin"}));

  EXPECT_EQ(Json::parse(Order("engine-0", "drain")->body)["admin_state"], "drained");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(InstanceOf(Chat()), "engine-1");
  EXPECT_EQ(Json::parse(Order("engine-0", "enable")->body)["admin_state"], "enabled");

  EXPECT_EQ(Management().Delete("/instances/engine-1")->status, 200);
  ASSERT_TRUE(Eventually([&] { return At(other.address()).is_null(); }));
  EXPECT_EQ(InstanceOf(Chat()), "engine-0");
  EXPECT_THAT(Metrics(), ::testing::Not(HasSubstr("engine=\"1\"")));
  // The same address again is another instance.
  Management().Post("/instances", body, "application/json");
  ASSERT_TRUE(Eventually([&] { return Serves(other.address()); }));
  EXPECT_EQ(At(other.address())["id"], "engine-2");
}

TEST_F(GatewayInstancesTest, WithAllDrainedRequestsWaitForOneThatIsEnabled) {
  Engines(1);
  Start();
  Order("engine-0", "drain");
  EXPECT_EQ(Client().Get("/health")->status, 503);
  std::thread operator_([&] {
    absl::SleepFor(absl::Milliseconds(200));
    Order("engine-0", "enable");
  });
  EXPECT_EQ(InstanceOf(Chat()), "engine-0");
  operator_.join();
}

TEST_F(GatewayInstancesTest, ErrorsNameWhatIsWrong) {
  Engines(1);
  Start();
  const auto add = [this](const std::string& body) {
    return Management().Post("/instances", body, "application/json");
  };
  ExpectError(add("{}"), 400, "address", "", "missing");
  ExpectError(add(R"({"address": 5})"), 400, "address", "", "string");
  ExpectError(add(R"({"address": "nowhere"})"), 400, "address", "", "not an address");
  ExpectError(add("["), 400, "", "", "JSON");
  ExpectError(Order("engine-9", "drain"), 404, "", "not_found", "engine-9");
  ExpectError(Order("engine-9", "enable"), 404, "", "not_found", "engine-9");
  ExpectError(Management().Delete("/instances/engine-9"), 404, "", "not_found", "engine-9");
  ExpectError(Order("engine-0", "stop"), 404, "", "", "/drain or /enable");
  ExpectError(Management().Delete("/instances"), 405, "", "", "DELETE");
  EXPECT_EQ(Client().Get("/instances")->status, 404);  // not a client's business
}

TEST_F(GatewayInstancesTest, ARemovedInstanceIsKeptWhileARequestRunsThere) {
  engine().SetScript({.tokens = Ids("abcdefghij"), .delay = absl::Milliseconds(50)});
  Start([](auto& options) { options.generation.moves.failover_timeout = absl::Milliseconds(100); });
  std::thread client([&] {
    const SseAnswer answer = Stream("/v1/chat/completions", Chat());
    EXPECT_EQ(answer.Joined("content"), "abcdefghij");
    EXPECT_THAT(answer.FinishReasons(), ElementsAre("stop"));
  });
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  EXPECT_EQ(Json::parse(Management().Delete("/instances/engine-0")->body)["admin_state"],
            "removing");
  EXPECT_EQ(List()[0]["in_flight"], 1);
  ExpectError(Order("engine-0", "enable"), 400, "", "", "being removed");
  client.join();
  ASSERT_TRUE(Eventually([&] { return List().empty(); }));
  EXPECT_EQ(engine().requests().size(), 1u);
}

TEST_F(GatewayInstancesTest, ARunLeavesAnInstanceThatIsRemoved) {
  Engines(2);
  for (auto& engine : engines_) {
    engine->SetScript({.tokens = Ids("abcdefghijklmnop"), .delay = absl::Milliseconds(40)});
  }
  Start();
  std::thread client([&] {
    EXPECT_EQ(Stream("/v1/chat/completions", Chat()).Joined("content"), "abcdefghijklmnop");
  });
  ASSERT_TRUE(Eventually([&] { return engine(0).written_chunks() >= 4; }));
  Management().Delete("/instances/engine-0");
  client.join();
  EXPECT_TRUE(engine(0).WaitForCancelled(1, absl::Seconds(5)));
  EXPECT_GT(engine(1).requests()[0].resume_token_ids_size(), 0);
  ASSERT_TRUE(Eventually([&] { return List().size() == 1; }));
}

TEST_F(GatewayInstancesTest, RequestsRunOnWhileInstancesComeAndGo) {
  Engines(1);
  Start();
  std::vector<std::unique_ptr<FakeEngine>> others;
  std::atomic<bool> stop{false};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      while (!stop) {
        const SseAnswer answer = Stream("/v1/chat/completions", Chat());
        EXPECT_EQ(answer.status, 200);
        EXPECT_EQ(answer.Joined("content"), "fine");
      }
    });
  }
  for (int i = 0; i < 8; ++i) {
    auto& other = others.emplace_back(std::make_unique<FakeEngine>());
    other->SetScript({.tokens = Ids("fine"), .delay = absl::Milliseconds(2)});
    Management().Post("/instances", Json{{"address", other->address()}}.dump(), "application/json");
    ASSERT_TRUE(Eventually([&] { return Serves(other->address()); }));
    const std::string id = At(other->address())["id"];
    Order(id, "drain");
    if (i % 2 == 0) Order(id, "enable");
    if (i > 3) Management().Delete("/instances/" + id);
  }
  stop = true;
  for (std::thread& client : clients) client.join();
}

TEST_F(GatewayInstancesTest, FollowsAFile) {
  Engines(1);
  FakeEngine other;
  const std::string path = ::testing::TempDir() + absl::StrCat("instances-", ::getpid(), ".yaml");
  const auto write = [&](const std::string& text) {
    std::ofstream(path + ".new") << text;
    ASSERT_EQ(std::rename((path + ".new").c_str(), path.c_str()), 0);
  };
  write(absl::StrCat("- ", engine().address(), "\n"));
  Start([&](auto& options) {
    options.instances.addresses.clear();
    options.instance_sources.file = path;
  });
  EXPECT_EQ(At(engine().address())["sources"], Json({"file"}));
  write(Json{engine().address(), other.address()}.dump());
  ASSERT_TRUE(Eventually([&] { return Serves(other.address()); }));
  write("- nonsense");  // changes nothing
  absl::SleepFor(absl::Milliseconds(1200));
  EXPECT_EQ(List().size(), 2u);
  write(absl::StrCat("- ", other.address(), "\n"));
  ASSERT_TRUE(Eventually([&] { return At(engine().address()).is_null(); }));
  EXPECT_TRUE(Serves(other.address()));
  std::remove(path.c_str());
}

TEST_F(GatewayInstancesTest, AFileThatCannotBeReadIsAnErrorAtStart) {
  gateway::GatewayOptions options;
  options.http.port = options.management.port = 0;
  options.instance_sources.file = "/nowhere/instances.yaml";
  const auto started = gateway::Gateway::Start(options);
  EXPECT_THAT(std::string(started.status().message()), HasSubstr("/nowhere/instances.yaml"));
  options.instance_sources.file.clear();
  EXPECT_THAT(std::string(gateway::Gateway::Start(options).status().message()),
              HasSubstr("a source of engine instances is required"));
  options.instance_sources.dns_name = "no-port";
  EXPECT_THAT(std::string(gateway::Gateway::Start(options).status().message()),
              HasSubstr("no-port"));
}

TEST_F(GatewayInstancesTest, FollowsANameOfDns) {
  Engines(1);
  Start([&](auto& options) {
    options.instances.addresses.clear();
    options.instance_sources.dns_name = absl::StrCat("localhost:", engine().port());
  });
  EXPECT_EQ(At(engine().address())["sources"], Json({"dns"}));
  EXPECT_FALSE(InstanceOf(Chat()).empty());
}

TEST_F(GatewayInstancesTest, ASessionStaysWhereItIs) {
  Engines(3);
  Start();
  std::vector<std::string> first;
  for (const char* session : {"a", "b", "c"}) {
    first.push_back(InstanceOf(Chat(), {{"x-session-id", session}}));
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(InstanceOf(Chat("other words"), {{"x-session-id", "b"}}), first[1]);
    Json body = Chat("words");
    body["prompt_cache_key"] = "a";
    EXPECT_EQ(InstanceOf(body), first[0]);
  }
  Order(first[1], "drain");
  EXPECT_NE(InstanceOf(Chat(), {{"x-session-id", "b"}}), first[1]);
  EXPECT_THAT(Metrics(), HasSubstr("policy=\"prefix_aware\",reason=\"session\"} 6"));
}

TEST_F(GatewayInstancesTest, APromptGoesWhereItsBeginningIs) {
  Engines(3);
  Start();
  const std::string story(400, 'x');
  const std::string home = InstanceOf(Chat(story));
  for (int i = 0; i < 4; ++i) {
    InstanceOf(Chat(absl::StrCat(i, " something else ", i)));  // the others' turn
    EXPECT_EQ(InstanceOf(Chat(story + absl::StrCat(" and then? ", i))), home);
  }
  EXPECT_THAT(Metrics(), HasSubstr("reason=\"prefix\"}"));
  // Another tenant's prompts are not found by these.
  Json body = Chat(story);
  body["cache_salt"] = "other";
  const Json explained = Json::parse(Post("/v1/route/explain", body)->body);
  EXPECT_EQ(explained["matched_tokens"], 0);
  // And with its workers, an instance loses what it had.
  EXPECT_GT(Json::parse(Post("/v1/route/explain", Chat(story))->body)["matched_tokens"], 400);
  for (auto& engine : engines_) engine->SetState(v1::INSTANCE_STATE_RESTARTING);
  ASSERT_TRUE(Eventually([&] {
    return std::all_of(engines_.begin(), engines_.end(), [this](const auto& engine) {
      return At(engine->address())["restarts"] == 1;
    });
  }));
  for (auto& engine : engines_) engine->SetState(v1::INSTANCE_STATE_SERVING);
  ASSERT_TRUE(Eventually([&] { return Serving(); }));
  EXPECT_EQ(Json::parse(Post("/v1/route/explain", Chat(story))->body)["matched_tokens"], 0);
}

TEST_F(GatewayInstancesTest, ExplainsWhereARequestWouldGo) {
  engines_[0] = std::make_unique<FakeEngine>(/*max_batch_size=*/1);
  Engines(2);
  Start();
  Order("engine-1", "drain");
  Json explained = Json::parse(Post("/v1/route/explain", Chat())->body);
  EXPECT_EQ(explained["instance"], "engine-0");
  EXPECT_EQ(explained["policy"], "prefix_aware");
  EXPECT_EQ(explained["class"], "interactive");
  EXPECT_EQ(explained["reason"], "load");
  EXPECT_EQ(explained["queue_position"], 0);
  ASSERT_EQ(explained["instances"].size(), 2u);
  EXPECT_EQ(explained["instances"][0]["fitness"], "free");
  EXPECT_EQ(explained["instances"][0]["score"], 0.0);
  EXPECT_EQ(explained["instances"][1]["fitness"], "not_serving");
  EXPECT_EQ(explained["instances"][1]["admin_state"], "drained");
  EXPECT_EQ(explained["instances"][1]["score"], nullptr);
  EXPECT_THAT(engine(0).requests(), IsEmpty());

  engine(0).SetScript({.tokens = Ids("abcdefghij"), .delay = absl::Milliseconds(50)});
  std::thread client([&] { InstanceOf(Chat()); });
  ASSERT_TRUE(engine(0).WaitForRunning(1, absl::Seconds(5)));
  explained = Json::parse(Post("/v1/route/explain", Chat())->body);
  EXPECT_EQ(explained["instance"], nullptr);
  EXPECT_EQ(explained["queue_position"], 1);
  EXPECT_EQ(explained["instances"][0]["fitness"], "full");
  EXPECT_TRUE(explained["expected_wait_seconds"].is_number());
  client.join();
  ExpectError(Post("/v1/route/explain", Json::object()), 400, "messages", "", "missing");
}

TEST_F(GatewayInstancesTest, ExplainsAQueryAsTheChatOfOneMessage) {
  Start();
  const auto get = [this](const std::string& query) {
    return Client().Get("/v1/route/explain?" + query);
  };
  Json chat = Chat("Wer da? & co");
  chat["priority"] = -3;
  chat["prompt_cache_key"] = "mine";
  const Json posted = Json::parse(Post("/v1/route/explain", chat)->body);
  EXPECT_EQ(posted["priority"], -3);
  EXPECT_EQ(posted["session"], true);
  EXPECT_EQ(Json::parse(get("prompt=Wer+da%3F+%26+co&priority=-3&prompt_cache_key=mine")->body),
            posted);
  ExpectError(get("model=fake"), 400, "prompt", "", "missing");
  ExpectError(get("prompt=a&priority=high"), 400, "priority", "", "integer");
  ExpectError(get("prompt=a&temperature=1"), 400, "temperature", "unsupported_parameter", "POST");
  ExpectError(get("prompt=a&model=other"), 404, "model", "model_not_found", "other");
}

class BackgroundTest : public GatewayInstancesTest {
 protected:
  static Json Title() {
    return Chat("### Task:\nName the chat: { \"title\": \"...\" }\n<chat_history>\nUSER: hi\n");
  }
};

TEST_F(BackgroundTest, TasksOfFrontEndsComeLaterAndDoNotThink) {
  Engines(1);
  Start();
  const auto result = Post("/v1/chat/completions", Title());
  EXPECT_EQ(result->get_header_value("X-Vallm-Class"), "background");
  EXPECT_EQ(result->get_header_value("X-Vallm-Task"), "title");
  EXPECT_EQ(tokenizer_.last_render().template_kwargs_json(), R"({"enable_thinking":false})");
  EXPECT_GT(engine().requests()[0].priority(), 0);
  EXPECT_THAT(Metrics(),
              HasSubstr("background_requests_total{model_name=\"fake\",task=\"title\"} 1"));
}

TEST_F(BackgroundTest, WhatTheClientSaysItselfHolds) {
  Engines(1);
  Start();
  Json body = Title();
  body["chat_template_kwargs"] = {{"enable_thinking", true}};
  body["priority"] = -3;
  Post("/v1/chat/completions", body);
  EXPECT_EQ(tokenizer_.last_render().template_kwargs_json(), R"({"enable_thinking":true})");
  EXPECT_EQ(engine().requests()[0].priority(), -3);
  body = Title();
  body["thinking_token_budget"] = 50;
  EXPECT_EQ(Post("/v1/chat/completions", body)->status, 200);
  EXPECT_EQ(tokenizer_.last_render().template_kwargs_json(), "");
}

TEST_F(BackgroundTest, AHeaderSaysWhatItIs) {
  Engines(1);
  Start();
  const auto forced = Post("/v1/chat/completions", Chat(), {{"x-vallm-class", "background"}});
  EXPECT_EQ(forced->get_header_value("X-Vallm-Class"), "background");
  EXPECT_FALSE(forced->has_header("X-Vallm-Task"));
  const auto chat = Post("/v1/chat/completions", Title(), {{"x-vallm-class", "interactive"}});
  EXPECT_FALSE(chat->has_header("X-Vallm-Class"));
  const Json completion = {{"prompt", "a"}, {"max_tokens", 2}};
  const auto plain = Post("/v1/completions", completion, {{"x-vallm-class", "background"}});
  EXPECT_EQ(plain->get_header_value("X-Vallm-Class"), "background");
  ExpectError(Post("/v1/chat/completions", Chat(), {{"x-vallm-class", "vip"}}), 400,
              "x-vallm-class", "", "vip");
}

TEST_F(BackgroundTest, CanBeSwitchedOff) {
  Engines(1);
  Start([](auto& options) { options.background_tasks = false; });
  EXPECT_FALSE(Post("/v1/chat/completions", Title())->has_header("X-Vallm-Class"));
}

TEST_F(BackgroundTest, AChatThatComesLaterIsServedFirst) {
  engines_[0] = std::make_unique<FakeEngine>(/*max_batch_size=*/1);
  Engines(1);
  Start();
  engine().SetState(v1::INSTANCE_STATE_RESTARTING);
  ASSERT_TRUE(Eventually([&] { return !Serving(); }));
  std::vector<std::thread> clients;
  int waiting = 0;
  for (const Json& body : {Title(), Title(), Chat(), Chat()}) {
    clients.emplace_back(
        [this, body] { EXPECT_EQ(Post("/v1/chat/completions", body)->status, 200); });
    const std::string length = absl::StrCat("queue_length{model_name=\"fake\"} ", ++waiting);
    ASSERT_TRUE(Eventually([&] { return Metrics().find(length) != std::string::npos; }));
  }
  engine().SetState(v1::INSTANCE_STATE_SERVING);
  for (std::thread& client : clients) client.join();
  std::vector<int> order;
  for (const auto& request : engine().requests()) order.push_back(request.priority());
  EXPECT_THAT(order, ElementsAre(0, 0, 10, 10));
}

}  // namespace
}  // namespace vallm::testing
