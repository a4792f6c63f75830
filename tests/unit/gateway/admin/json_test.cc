#include "gateway/admin/json.h"

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::json;

const absl::Time kNow = absl::FromUnixMillis(1'700'000'010'250);

TEST(AdminJson, TellsHowFarARequestIs) {
  const absl::Time arrived = kNow - absl::Milliseconds(100);
  RequestEntry entry;
  entry.id = "req-1";
  entry.arrived = arrived;
  const auto json = [&entry] { return Json::parse(RequestsJson({entry}, {}, kNow))["active"][0]; };
  EXPECT_EQ(json()["phase"], "tokenize");
  EXPECT_EQ(json()["tokenize_ms"], 100);  // so far
  EXPECT_EQ(json()["queue_ms"], nullptr);
  entry.progress.tokenized = arrived + absl::Milliseconds(10);
  EXPECT_EQ(json()["phase"], "queue");
  EXPECT_EQ(json()["tokenize_ms"], 10);
  EXPECT_EQ(json()["queue_ms"], 90);
  entry.progress.placed = arrived + absl::Milliseconds(15);
  EXPECT_EQ(json()["phase"], "prefill");
  EXPECT_EQ(json()["queue_ms"], 5);
  EXPECT_EQ(json()["prefill_ms"], 85);
  entry.progress.first_token = arrived + absl::Milliseconds(40);
  EXPECT_EQ(json()["phase"], "decode");
  EXPECT_EQ(json()["prefill_ms"], 25);
  EXPECT_EQ(json()["decode_ms"], 60);
  entry.ended = arrived + absl::Milliseconds(70);
  entry.status = 200;
  EXPECT_EQ(json()["phase"], "done");
  EXPECT_EQ(json()["decode_ms"], 30);
  EXPECT_EQ(json()["total_ms"], 70);
  EXPECT_EQ(json()["arrived"], 1'700'000'010.15);
}

TEST(AdminJson, ARequestThatWasRefusedEndsInItsPhase) {
  RequestEntry entry;
  entry.arrived = kNow - absl::Seconds(9);
  entry.progress.tokenized = entry.arrived + absl::Seconds(1);
  entry.ended = entry.arrived + absl::Seconds(3);
  entry.status = 429;
  const Json json = Json::parse(RequestsJson({}, {entry}, kNow))["recent"][0];
  EXPECT_EQ(json["queue_ms"], 2000);
  EXPECT_EQ(json["prefill_ms"], nullptr);
  EXPECT_EQ(json["status"], 429);
}

TEST(AdminJson, WhatIsNotUtf8IsReplaced) {
  RequestEntry entry;
  entry.progress.model = "\xff<b>";
  const Json json = Json::parse(RequestsJson({entry}, {}, kNow));
  EXPECT_EQ(json["active"][0]["model"], "\xEF\xBF\xBD<b>");
}

TEST(AdminJson, HistoryHasAColumnForEachSeries) {
  HistoryPoint empty{.time = 1000, .values = std::nullopt};
  HistoryPoint::Values values;
  values.generated_tokens_per_second = 12.34567;
  values.first_token_p99 = absl::Milliseconds(250);
  HistoryPoint full{.time = 1005, .values = values};
  const Json json = Json::parse(HistoryJson({empty, full}, 5));
  EXPECT_EQ(json["step"], 5);
  EXPECT_EQ(json["times"], Json({1000, 1005}));
  EXPECT_EQ(json["series"]["generated_tokens_per_second"], Json({nullptr, 12.346}));
  EXPECT_EQ(json["series"]["first_token_p50_ms"], Json({nullptr, nullptr}));
  EXPECT_EQ(json["series"]["first_token_p99_ms"], Json({nullptr, 250}));
  for (const auto& [name, column] : json["series"].items()) EXPECT_EQ(column.size(), 2u) << name;
}

TEST(AdminJson, OverviewHasTheInstances) {
  Overview overview;
  overview.started = kNow - absl::Seconds(90);
  overview.queued = 3;
  overview.max_queue_size = 1024;
  InstanceSnapshot instance;
  instance.name = "engine-0";
  instance.breaker = CircuitBreaker::State::kHalfOpen;
  instance.admin_state = "draining";
  instance.info.emplace().set_fingerprint("f00d");
  instance.load.set_total_kv_block_count(100);
  instance.load.set_free_kv_block_count(75);
  overview.instances.push_back(instance);
  const Json json = Json::parse(OverviewJson(overview, kNow));
  EXPECT_EQ(json["uptime_seconds"], 90);
  EXPECT_EQ(json["queue"], Json({{"waiting", 3}, {"limit", 1024}}));
  EXPECT_EQ(json["instances"][0]["breaker"], "half_open");
  EXPECT_EQ(json["instances"][0]["admin_state"], "draining");
  EXPECT_EQ(json["instances"][0]["kv_blocks_used"], 25);
  EXPECT_EQ(json["instances"][0]["fingerprint"], "f00d");
}

}  // namespace
}  // namespace vallm::gateway
