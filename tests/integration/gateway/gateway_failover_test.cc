// What becomes of a request whose engine dies, hangs, drains or refuses it, end to end
// over HTTP and gRPC, with fake services behind it: the answer is the one of an undisturbed run, or
// there is one clear error.

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"

namespace vallm::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const grpc::Status kWorkerDied = {grpc::StatusCode::UNAVAILABLE, "a worker died"};
const char kHello[] = "Hello, wörld";  // one character of two tokens

EngineScript Script(const std::string& text = kHello) {
  return {.tokens = Ids(text), .delay = absl::Milliseconds(5), .cached_tokens = 1};
}

EngineScript DyingAfter(int chunks, int times = 1) {
  EngineScript script = Script();
  script.fail_after = chunks;
  script.status = kWorkerDied;
  script.fail_times = times;
  return script;
}

std::vector<int32_t> Resumed(const v1::GenerateRequest& request) {
  return {request.resume_token_ids().begin(), request.resume_token_ids().end()};
}

class GatewayFailoverTest : public GatewayFixture {
 protected:
  // `count` instances that play the script.
  void Engines(int count, const EngineScript& script = Script()) {
    engines_.clear();
    for (int i = 0; i < count; ++i) {
      engines_.push_back(std::make_unique<FakeEngine>());
      engines_.back()->SetScript(script);
    }
  }
  size_t RunCount() {
    size_t count = 0;
    for (const auto& engine : engines_) count += engine->requests().size();
    return count;
  }
  std::string Metrics() { return Client().Get("/metrics")->body; }
  void ExpectMoves(const std::string& reason, int count) {
    EXPECT_THAT(Metrics(), HasSubstr(absl::StrCat("moves_total{model_name=\"fake\",reason=\"",
                                                  reason, "\"} ", count, "\n")));
  }

  // A stream with everything that is counted by tokens.
  static Json Counted() {
    Json body = Chat();
    body["logprobs"] = true;
    body["seed"] = 5;
    body["stream_options"] = {{"include_usage", true}};
    return body;
  }
  // What does not depend on how tokens came in chunks: text, log-probabilities, reasons, usage.
  static Json Gist(const SseAnswer& answer) {
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.done);
    Json gist = {{"content", answer.Joined("content")}, {"reasons", answer.FinishReasons()}};
    for (const Json& chunk : answer.chunks) {
      EXPECT_FALSE(chunk.contains("error")) << chunk;
      if (chunk.contains("usage") && chunk["usage"].is_object()) gist["usage"] = chunk["usage"];
      if (!chunk.contains("choices")) continue;
      for (const Json& choice : chunk["choices"]) {
        if (!choice.contains("logprobs") || !choice["logprobs"].is_object()) continue;
        for (const Json& entry : choice["logprobs"]["content"]) gist["logprobs"].push_back(entry);
      }
    }
    return gist;
  }
  static int ErrorFrames(const SseAnswer& answer) {
    int errors = 0;
    for (const Json& chunk : answer.chunks) errors += chunk.contains("error") ? 1 : 0;
    return errors;
  }
  // Runs `act` once the first engine has written so many chunks.
  std::thread AfterChunks(int64_t chunks, std::function<void()> act) {
    return std::thread([this, chunks, act = std::move(act)] {
      for (int i = 0; i < 2000 && engine().written_chunks() < chunks; ++i) {
        absl::SleepFor(absl::Milliseconds(1));
      }
      act();
    });
  }
};

TEST_F(GatewayFailoverTest, AStreamGoesOnElsewhereWithTheTokensItWouldHaveHad) {
  Engines(2);
  Start();
  const Json undisturbed = Gist(Stream("/v1/chat/completions", Counted()));
  EXPECT_EQ(undisturbed["content"], kHello);
  ASSERT_THAT(undisturbed["logprobs"], SizeIs(13));
  // In the middle of a character as well.
  for (const int chunks : {1, 5, 9, 12}) {
    engine(0).SetScript(DyingAfter(chunks));
    engine(1).SetScript(DyingAfter(chunks));
    EXPECT_EQ(Gist(Stream("/v1/chat/completions", Counted())), undisturbed) << chunks;
  }
  EXPECT_THAT(Metrics(), HasSubstr("moves_total{model_name=\"fake\",reason=\"died\"} "));
}

TEST_F(GatewayFailoverTest, TheNextRunIsAskedToGoOnWithTheSameSeed) {
  Engines(2);
  engine(0).SetScript(DyingAfter(5));
  Start();
  const SseAnswer answer = Stream("/v1/chat/completions", Chat());  // the gateway draws the seed
  EXPECT_EQ(answer.Joined("content"), kHello);
  EXPECT_EQ(answer.headers.find("X-Instance")->second, "engine-0");
  ASSERT_THAT(engine(0).requests(), SizeIs(1));
  ASSERT_THAT(engine(1).requests(), SizeIs(1));
  const v1::GenerateRequest first = engine(0).requests()[0];
  const v1::GenerateRequest second = engine(1).requests()[0];
  EXPECT_TRUE(first.sampling().has_seed());
  EXPECT_EQ(first.sampling().seed(), second.sampling().seed());
  EXPECT_THAT(Resumed(first), ElementsAre());
  EXPECT_EQ(Resumed(second), Ids("Hello"));
  EXPECT_EQ(first.stop().max_tokens(), second.stop().max_tokens());
  ExpectMoves("died", 1);
  EXPECT_THAT(Metrics(), HasSubstr("generation_tokens_total{model_name=\"fake\"} 13\n"));
}

TEST_F(GatewayFailoverTest, ASingleInstanceIsWaitedFor) {
  engine().SetScript(DyingAfter(5));
  Start();
  const Json disturbed = Gist(Stream("/v1/chat/completions", Counted()));
  EXPECT_EQ(disturbed["content"], kHello);
  EXPECT_EQ(disturbed, Gist(Stream("/v1/chat/completions", Counted())));
}

TEST_F(GatewayFailoverTest, AWholeAnswerIsMovedAndCountedOnce) {
  Engines(2);
  Start();
  Json body = Counted();
  body.erase("stream_options");
  const Json undisturbed = Json::parse(Post("/v1/chat/completions", body)->body);
  engine(0).SetScript(DyingAfter(5));
  engine(1).SetScript(DyingAfter(7));
  const auto result = Post("/v1/chat/completions", body);
  ASSERT_EQ(result->status, 200) << result->body;
  const Json moved = Json::parse(result->body);
  EXPECT_EQ(moved["choices"], undisturbed["choices"]);
  EXPECT_EQ(moved["usage"], undisturbed["usage"]);
}

TEST_F(GatewayFailoverTest, EveryChoiceIsMovedOnItsOwn) {
  Engines(3, DyingAfter(4));
  Start();
  Json body = Chat();
  body["n"] = 3;
  const SseAnswer answer = Stream("/v1/chat/completions", body);
  EXPECT_EQ(ErrorFrames(answer), 0);
  for (int choice = 0; choice < 3; ++choice) EXPECT_EQ(answer.Joined("content", choice), kHello);
  EXPECT_THAT(answer.FinishReasons(), SizeIs(3));
  // Every choice has its own seed, and keeps it.
  std::map<int64_t, int> runs;
  for (const auto& engine : engines_) {
    for (const auto& request : engine->requests()) ++runs[request.sampling().seed()];
  }
  EXPECT_THAT(runs, SizeIs(3));
}

TEST_F(GatewayFailoverTest, PromptLogprobsComeOnce) {
  Engines(2);
  Start();
  const Json body = {{"prompt", {72, 101, 108}},
                     {"max_tokens", 13},
                     {"prompt_logprobs", 1},
                     {"logprobs", 1},
                     {"seed", 1}};
  const Json undisturbed = Json::parse(Post("/v1/completions", body)->body);
  for (const int chunks : {0, 5}) {
    engine(0).SetScript(DyingAfter(chunks));
    // Two deaths without a token would be the request's fault.
    if (chunks > 0) engine(1).SetScript(DyingAfter(chunks));
    const auto result = Post("/v1/completions", body);
    ASSERT_EQ(result->status, 200) << result->body;
    EXPECT_EQ(Json::parse(result->body)["choices"], undisturbed["choices"]);
  }
}

TEST_F(GatewayFailoverTest, ARequestThatKillsTwoInstancesIsQuarantined) {
  Engines(3, DyingAfter(0, /*times=*/-1));
  Start();
  const auto result = Post("/v1/chat/completions", Chat());
  ExpectError(result, 500, "", "request_quarantined", "died whenever it ran there");
  EXPECT_EQ(result->get_header_value("X-Should-Retry"), "false");
  EXPECT_EQ(RunCount(), 2u);
  EXPECT_THAT(Metrics(), HasSubstr("quarantined_total{model_name=\"fake\"} 1\n"));
}

TEST_F(GatewayFailoverTest, AStreamThatKillsAtACertainTokenEndsWithOneErrorFrame) {
  EngineScript script = Script();
  script.dies_at_token = 5;
  script.status = kWorkerDied;
  Engines(4, script);
  Start();
  const SseAnswer answer = Stream("/v1/chat/completions", Chat());
  EXPECT_EQ(answer.Joined("content"), "Hello");
  EXPECT_TRUE(answer.done);
  EXPECT_EQ(ErrorFrames(answer), 1);
  EXPECT_EQ(answer.chunks.back()["error"]["code"], "request_quarantined");
  EXPECT_EQ(RunCount(), 3u);  // moved twice
}

TEST_F(GatewayFailoverTest, TheRequestsOwnFaultIsNotTriedAgain) {
  Engines(2);
  for (const int chunks : {0, 3}) {
    EngineScript script = DyingAfter(chunks, /*times=*/-1);
    script.status = {grpc::StatusCode::INVALID_ARGUMENT, "no token is left"};
    for (auto& engine : engines_) engine->SetScript(script);
    if (gateway_ == nullptr) Start();
    const size_t before = RunCount();
    ExpectError(Post("/v1/chat/completions", Chat()), 400, "", "", "no token is left");
    EXPECT_EQ(RunCount(), before + 1);
  }
}

TEST_F(GatewayFailoverTest, ARefusalIsTriedAgainWithoutBlame) {
  for (const auto code : {grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::RESOURCE_EXHAUSTED}) {
    EngineScript script = Script();
    script.refuses = true;
    script.fail_times = 3;
    script.status = {code, "not now"};
    engine().SetScript(script);
    if (gateway_ == nullptr) Start();
    const SseAnswer answer = Stream("/v1/chat/completions", Chat());
    EXPECT_EQ(answer.Joined("content"), kHello);
  }
  ExpectMoves("refused", 6);
}

TEST_F(GatewayFailoverTest, ARunBeforeTheFirstTokenMayStillHoldTheId) {
  EngineScript script = DyingAfter(0);
  script.taken_for = absl::Milliseconds(300);
  Engines(1, script);
  Start();
  EXPECT_EQ(Gist(Stream("/v1/chat/completions", Counted()))["content"], kHello);
  EXPECT_EQ(RunCount(), 2u);
}

TEST_F(GatewayFailoverTest, AMessageThatCannotBeReadLosesNothing) {
  EngineScript script = DyingAfter(2);
  script.status = {grpc::StatusCode::INTERNAL, "half a character: \xC3"};
  Engines(1, script);
  Start();
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back(
        [this] { EXPECT_EQ(Gist(Stream("/v1/chat/completions", Counted()))["content"], kHello); });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(GatewayFailoverTest, AnEngineOfAnEarlierVersionGetsNothing) {
  Engines(2);
  engines_[0]->SetIsOld(true);
  Start();
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(Gist(Stream("/v1/chat/completions", Counted()))["content"], kHello);
  }
  EXPECT_EQ(engines_[1]->requests().size(), 6u);
}

TEST_F(GatewayFailoverTest, AnInstanceWithAFullQueueStillServes) {
  EngineScript script = Script();
  script.refuses = true;
  script.fail_times = 4;
  script.status = {grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full"};
  engine().SetScript(script);
  Start();
  std::atomic<bool> answered = false;
  std::thread client([&] {
    EXPECT_EQ(Stream("/v1/chat/completions", Chat()).Joined("content"), kHello);
    answered = true;
  });
  while (!answered) EXPECT_TRUE(Serving());
  client.join();
  ExpectMoves("refused", 4);
}

TEST_F(GatewayFailoverTest, ARunThatStallsIsLeft) {
  Engines(2);
  EngineScript script = Script();
  script.hang_after = 5;
  engine(0).SetScript(script);
  Start([](auto& options) { options.generation.stall_timeout = absl::Milliseconds(300); });
  const absl::Time begin = absl::Now();
  const SseAnswer answer = Stream("/v1/chat/completions", Chat());
  EXPECT_EQ(answer.Joined("content"), kHello);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
  EXPECT_TRUE(engine(0).WaitForCancelled(1, absl::Seconds(2)));
  ExpectMoves("stalled", 1);
}

TEST_F(GatewayFailoverTest, ARunThatWaitsWhileItsInstanceGetsAheadStays) {
  // The first request says nothing for long, as in a long prompt; the second one keeps going.
  engine().SetScript({.tokens = Ids("ab"), .delay = absl::Milliseconds(900)});
  Start([](auto& options) { options.generation.stall_timeout = absl::Milliseconds(300); });
  std::thread slow(
      [&] { EXPECT_EQ(Stream("/v1/chat/completions", Chat()).Joined("content"), "ab"); });
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  engine().SetScript({.tokens = Ids(std::string(100, 'x')), .delay = absl::Milliseconds(20)});
  EXPECT_EQ(Post("/v1/chat/completions", Chat())->status, 200);
  slow.join();
  EXPECT_EQ(RunCount(), 2u);
}

TEST_F(GatewayFailoverTest, AnInstanceThatDrainsIsLeft) {
  Engines(2);
  EngineScript script = Script();
  script.delay = absl::Milliseconds(40);
  engine(0).SetScript(script);
  Start();
  std::thread drain = AfterChunks(4, [this] { engine(0).SetState(v1::INSTANCE_STATE_DRAINING); });
  const SseAnswer answer = Stream("/v1/chat/completions", Chat());
  drain.join();
  EXPECT_EQ(answer.Joined("content"), kHello);
  EXPECT_EQ(ErrorFrames(answer), 0);
  EXPECT_TRUE(engine(0).WaitForCancelled(1, absl::Seconds(2)));
  ASSERT_THAT(engine(1).requests(), SizeIs(1));
  EXPECT_GE(engine(1).requests()[0].resume_token_ids_size(), 4);
  ExpectMoves("drained", 1);
}

TEST_F(GatewayFailoverTest, WithoutAnotherInstanceADrainingOneFinishes) {
  EngineScript script = Script();
  script.delay = absl::Milliseconds(40);
  engine().SetScript(script);
  Start([](auto& options) { options.generation.moves.failover_timeout = absl::Milliseconds(100); });
  std::thread drain = AfterChunks(4, [this] { engine().SetState(v1::INSTANCE_STATE_DRAINING); });
  const SseAnswer answer = Stream("/v1/chat/completions", Chat());
  drain.join();
  EXPECT_EQ(answer.Joined("content"), kHello);
  EXPECT_EQ(ErrorFrames(answer), 0);
  EXPECT_EQ(RunCount(), 1u);
}

TEST_F(GatewayFailoverTest, AnInstanceThatStaysAwayEndsTheStreamWithOneErrorFrame) {
  EngineScript script = DyingAfter(5);
  script.delay = absl::Milliseconds(20);
  engine().SetScript(script);
  Start([](auto& options) { options.generation.moves.failover_timeout = absl::Milliseconds(300); });
  std::thread away = AfterChunks(2, [this] { engine().SetState(v1::INSTANCE_STATE_RESTARTING); });
  const SseAnswer answer = Stream("/v1/chat/completions", Chat());
  away.join();
  EXPECT_TRUE(answer.done);
  EXPECT_EQ(ErrorFrames(answer), 1);
  ASSERT_TRUE(answer.chunks.back().contains("error"));
  EXPECT_EQ(answer.chunks.back()["error"]["code"], "service_unavailable");
  EXPECT_THAT(answer.chunks.back()["error"]["message"].get<std::string>(),
              HasSubstr("became unavailable; no engine instance is serving"));
}

TEST_F(GatewayFailoverTest, WhatHasBegunDoesNotMoveToOtherWeights) {
  Engines(2);
  engine(1).SetFingerprint("0ther");
  Start([](auto& options) { options.generation.moves.failover_timeout = absl::Milliseconds(300); });
  for (const int chunks : {0, 5}) {
    EngineScript script = DyingAfter(chunks);
    script.delay = absl::Milliseconds(40);
    engine(0).SetScript(script);
    std::thread away([&] {
      EXPECT_TRUE(engine(0).WaitForRunning(1, absl::Seconds(5)));
      engine(0).SetState(v1::INSTANCE_STATE_RESTARTING);
    });
    Json body = Chat();
    body["cache_salt"] = std::to_string(chunks);  // a prompt that no instance has seen
    const SseAnswer answer = Stream("/v1/chat/completions", body);
    away.join();
    if (chunks == 0) {
      EXPECT_EQ(answer.Joined("content"), kHello);
      ASSERT_THAT(engine(1).requests(), SizeIs(1));
    } else {
      EXPECT_EQ(ErrorFrames(answer), 1);
      EXPECT_THAT(answer.chunks.back()["error"]["message"].get<std::string>(),
                  HasSubstr("no engine instance of the same model is serving"));
    }
    engine(0).SetState(v1::INSTANCE_STATE_SERVING);
    for (int i = 0; i < 1000 && !Serving(); ++i) absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_THAT(engine(1).requests(), SizeIs(1));
}

TEST_F(GatewayFailoverTest, AnAnswerThatHasBegunDoesNotNeedTheTokenizer) {
  EngineScript script = Script("Hello, wörld. This goes on for a while.");
  script.delay = absl::Milliseconds(10);
  script.cached_tokens = 0;  // known at the engine's end, which a stop string may forestall
  engine().SetScript(script);
  Start();
  for (const bool with_stop : {false, true}) {
    Json body = Counted();
    if (with_stop) body["stop"] = {"goes on for a moment", "a while"};
    const Json undisturbed = Gist(Stream("/v1/chat/completions", body));
    const int64_t before = engine().written_chunks();
    std::thread killer = AfterChunks(before + 15, [this] { tokenizer_.Stop(); });
    EXPECT_EQ(Gist(Stream("/v1/chat/completions", body)), undisturbed);
    killer.join();
    tokenizer_.Restart();
  }
  EXPECT_THAT(engine().requests(), SizeIs(4)) << "the engine is not asked again";
}

TEST_F(GatewayFailoverTest, AnInstanceThatKeepsFailingIsLeftAloneForAWhile) {
  Engines(2);
  engine(0).SetScript(DyingAfter(0, /*times=*/-1));
  Start([](auto& options) {
    options.instances.breaker = {.failures = 3,
                                 .first_backoff = absl::Milliseconds(700),
                                 .longest_backoff = absl::Seconds(1)};
  });
  const std::string state = "breaker_state{engine=\"0\",model_name=\"fake\"} ";
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (Metrics().find(state + "2") == std::string::npos) {
    ASSERT_LT(absl::Now(), deadline);
    EXPECT_EQ(Post("/v1/chat/completions", Chat())->status, 200);
  }
  const size_t failed = engine(0).requests().size();
  EXPECT_EQ(failed, 3u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Post("/v1/chat/completions", Chat())->status, 200);
  EXPECT_EQ(engine(0).requests().size(), failed);
  // It is well again: a probe, then everything.
  engine(0).SetScript(Script());
  while (Metrics().find(state + "0") == std::string::npos) {
    ASSERT_LT(absl::Now(), deadline);
    EXPECT_EQ(Post("/v1/chat/completions", Chat())->status, 200);
  }
  EXPECT_GT(engine(0).requests().size(), failed);
}

}  // namespace
}  // namespace vallm::testing
