#include "gateway/responses/response_store.h"

#include <string>

#include "gmock/gmock.h"

namespace vallm::gateway {
namespace {

constexpr int64_t kPlenty = 1 << 20;

StoredResponse Response(const std::string& id, size_t body_bytes = 10) {
  return {.id = id,
          .body = std::string(body_bytes, 'x'),
          .input = {{.id = "in_" + id, .json = "{}"}},
          .output = {{.id = "out_" + id, .json = "{\"said\":\"" + id + "\"}"}}};
}

TEST(ResponseStore, GivesBackWhatWasPut) {
  ResponseStore store(10, kPlenty);
  store.Put("me", Response("a"));
  const auto response = store.Get("me", "a");
  ASSERT_NE(response, nullptr);
  EXPECT_EQ(response->body, "xxxxxxxxxx");
  EXPECT_EQ(response->input[0].id, "in_a");
  EXPECT_EQ(store.Get("me", "b"), nullptr);
}

TEST(ResponseStore, OthersDoNotSeeIt) {
  ResponseStore store(10, kPlenty);
  store.Put("me", Response("a"));
  EXPECT_EQ(store.Get("you", "a"), nullptr);
  EXPECT_FALSE(store.Erase("you", "a"));
  EXPECT_FALSE(store.FindItem("you", "out_a").has_value());
  EXPECT_NE(store.Get("me", "a"), nullptr);
}

TEST(ResponseStore, ForgetsTheOneLongestUnused) {
  ResponseStore store(2, kPlenty);
  store.Put("me", Response("a"));
  store.Put("me", Response("b"));
  EXPECT_NE(store.Get("me", "a"), nullptr);
  store.Put("me", Response("c"));
  EXPECT_NE(store.Get("me", "a"), nullptr);
  EXPECT_EQ(store.Get("me", "b"), nullptr);
  EXPECT_FALSE(store.FindItem("me", "out_b").has_value());
}

TEST(ResponseStore, KeepsWithinItsBytes) {
  ResponseStore store(1000, 20000);
  for (int i = 0; i < 100; ++i) {
    store.Put("me", Response(std::to_string(i), 3000));
    EXPECT_LE(store.bytes(), 20000);
  }
  EXPECT_NE(store.Get("me", "99"), nullptr);
  EXPECT_EQ(store.Get("me", "90"), nullptr);
  store.Put("me", Response("huge", 30000));
  EXPECT_EQ(store.Get("me", "huge"), nullptr);
  EXPECT_NE(store.Get("me", "99"), nullptr) << "what cannot be kept drives nothing out";
}

TEST(ResponseStore, FindsItemsOfTheOutput) {
  ResponseStore store(10, kPlenty);
  store.Put("me", Response("a"));
  EXPECT_EQ(store.FindItem("me", "out_a")->json, "{\"said\":\"a\"}");
  EXPECT_FALSE(store.FindItem("me", "in_a").has_value());
}

TEST(ResponseStore, ErasedIsGoneAndFreesItsBytes) {
  ResponseStore store(10, kPlenty);
  store.Put("me", Response("a"));
  const auto held = store.Get("me", "a");
  EXPECT_TRUE(store.Erase("me", "a"));
  EXPECT_FALSE(store.Erase("me", "a"));
  EXPECT_FALSE(store.FindItem("me", "out_a").has_value());
  EXPECT_EQ(store.bytes(), 0);
  EXPECT_EQ(held->id, "a") << "whoever reads it keeps it";
}

TEST(ResponseStore, WithALimitOfZeroNothingIsKept) {
  for (ResponseStore* store : {new ResponseStore(0, kPlenty), new ResponseStore(10, 0)}) {
    EXPECT_FALSE(store->enabled());
    store->Put("me", Response("a"));
    EXPECT_EQ(store->Get("me", "a"), nullptr);
    delete store;
  }
}

}  // namespace
}  // namespace vallm::gateway
