// The Responses API of the gateway, over HTTP and with fake services behind it: what is kept, for
// whom, and what becomes of it.

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"

namespace vallm::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class GatewayResponsesTest : public GatewayFixture {
 protected:
  void SetUp() override {
    GatewayFixture::SetUp();
    engine().SetScript({.tokens = Ids("Hello!")});
  }

  Json Create(Json body, const std::string& key = "") {
    if (!body.contains("input")) body["input"] = "hi";
    const auto result = Post("/v1/responses", body, Key(key));
    EXPECT_EQ(result->status, 200) << result->body;
    return Json::parse(result->body, nullptr, /*allow_exceptions=*/false);
  }

  // The data of all events; their names are those of their types.
  std::vector<Json> CreateStream(Json body) {
    body["stream"] = true;
    const auto result = Post("/v1/responses", body);
    EXPECT_EQ(result->get_header_value("Content-Type"), "text/event-stream");
    std::vector<Json> events;
    const std::string& text = result->body;
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find("\n\n", at);
      const size_t data = text.find("\ndata: ", at);
      events.push_back(Json::parse(text.substr(data + 7, end - data - 7)));
      EXPECT_EQ(text.substr(at, data - at), "event: " + events.back()["type"].get<std::string>());
      at = end + 2;
    }
    return events;
  }

  httplib::Result Get(const std::string& path, const std::string& key = "") {
    return Client().Get("/v1/responses/" + path, Key(key));
  }
  httplib::Result Delete(const std::string& path, const std::string& key = "") {
    return Client().Delete("/v1/responses/" + path, Key(key));
  }

  static httplib::Headers Key(const std::string& key) {
    if (key.empty()) return {};
    return {{"Authorization", "Bearer " + key}};
  }

  static std::string IdOf(const Json& response) { return response["id"]; }
  static std::string TextOf(const Json& response) {
    return response["output"][0]["content"][0]["text"];
  }
};

TEST_F(GatewayResponsesTest, AnswersWholeAndStreamed) {
  Start();
  const Json whole = Create({{"model", "fake"}});
  EXPECT_EQ(whole["object"], "response");
  EXPECT_EQ(whole["status"], "completed");
  EXPECT_EQ(whole["model"], "fake");
  EXPECT_EQ(TextOf(whole), "Hello!");
  EXPECT_EQ(whole["usage"]["output_tokens"], 6);
  EXPECT_THAT(IdOf(whole), StartsWith("resp_"));
  const std::vector<Json> events = CreateStream({{"input", "hi"}});
  EXPECT_EQ(events.front()["type"], "response.created");
  EXPECT_EQ(events.back()["type"], "response.completed");
  EXPECT_EQ(TextOf(events.back()["response"]), "Hello!");
  EXPECT_EQ(events.back()["response"]["id"], events.front()["response"]["id"]);
  EXPECT_EQ(events.back()["response"]["usage"], whole["usage"]);
}

TEST_F(GatewayResponsesTest, IsKeptUntilItIsDeleted) {
  Start();
  const Json whole = Create({{"metadata", {{"a", "b"}}}});
  const std::string id = IdOf(whole);
  EXPECT_EQ(Json::parse(Get(id)->body), whole);
  EXPECT_EQ(Json::parse(Delete(id)->body),
            Json({{"id", id}, {"object", "response"}, {"deleted", true}}));
  ExpectError(Get(id), 404, "", "not_found", id);
  ExpectError(Delete(id), 404, "", "not_found", id);
  const Json streamed = CreateStream({{"input", "hi"}}).back()["response"];
  EXPECT_EQ(Json::parse(Get(IdOf(streamed))->body), streamed);
}

TEST_F(GatewayResponsesTest, IsNotKeptIfNotWanted) {
  Start();
  const Json whole = Create({{"store", false}});
  EXPECT_EQ(whole["store"], false);
  ExpectError(Get(IdOf(whole)), 404, "", "not_found", "");
}

TEST_F(GatewayResponsesTest, AConversationGoesOn) {
  Start();
  const std::string first = IdOf(Create({{"input", "One?"}, {"instructions", "Be brief."}}));
  engine().SetScript({.tokens = Ids("again")});
  const Json second = Create({{"input", "Two?"}, {"previous_response_id", first}});
  EXPECT_EQ(second["previous_response_id"], first);
  EXPECT_EQ(Json::parse(tokenizer_.last_render().messages_json()), Json::parse(R"([
      {"role": "user", "content": "One?"}, {"role": "assistant", "content": "Hello!"},
      {"role": "user", "content": "Two?"}])"));
  // The second has all it needs.
  Delete(first);
  Create({{"input", "Three?"}, {"previous_response_id", IdOf(second)}});
  EXPECT_EQ(Json::parse(tokenizer_.last_render().messages_json()).size(), 5u);
  ExpectError(Post("/v1/responses", {{"input", "x"}, {"previous_response_id", first}}), 400,
              "previous_response_id", "previous_response_not_found", first);
}

TEST_F(GatewayResponsesTest, ListsTheInput) {
  Start();
  const std::string first = IdOf(Create({{"input", "One?"}}));
  const std::string second = IdOf(Create({{"input", "Two?"}, {"previous_response_id", first}}));
  const auto texts = [&](const std::string& query) {
    const Json list = Json::parse(Get(second + "/input_items" + query)->body);
    std::vector<std::string> said;
    for (const Json& item : list["data"]) said.push_back(item["content"][0]["text"]);
    EXPECT_EQ(list["first_id"], list["data"].front()["id"]);
    EXPECT_EQ(list["last_id"], list["data"].back()["id"]);
    return std::make_pair(said, list["has_more"].get<bool>());
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(texts(""), std::make_pair(Texts({"Two?", "Hello!", "One?"}), false));
  EXPECT_EQ(texts("?order=asc&limit=2"), std::make_pair(Texts({"One?", "Hello!"}), true));
  const Json page = Json::parse(Get(second + "/input_items?order=asc&limit=2")->body);
  EXPECT_EQ(texts("?order=asc&limit=2&after=" + page["last_id"].get<std::string>()),
            std::make_pair(Texts({"Two?"}), false));
  ExpectError(Get(second + "/input_items?limit=0"), 400, "limit", "", "100");
  ExpectError(Get(second + "/input_items?order=up"), 400, "order", "", "");
  ExpectError(Get(second + "/input_items?after=x"), 400, "after", "", "");
  EXPECT_EQ(Get(second + "/other")->status, 404);
}

TEST_F(GatewayResponsesTest, KeysDoNotSeeEachOthers) {
  Start([](auto& options) { options.api_keys = {"mine", "yours"}; });
  const std::string id = IdOf(Create({{"input", "secret"}}, "mine"));
  EXPECT_EQ(Get(id, "mine")->status, 200);
  EXPECT_EQ(Get(id, "yours")->status, 404);
  EXPECT_EQ(Get(id + "/input_items", "yours")->status, 404);
  EXPECT_EQ(Delete(id, "yours")->status, 404);
  EXPECT_EQ(Get(id)->status, 401);
  ExpectError(Post("/v1/responses", {{"input", "x"}, {"previous_response_id", id}}, Key("yours")),
              400, "previous_response_id", "previous_response_not_found", "");
  const std::string item = Json::parse(Get(id, "mine")->body)["output"][0]["id"];
  const Json reference = {{{"type", "item_reference"}, {"id", item}}};
  ExpectError(Post("/v1/responses", {{"input", reference}}, Key("yours")), 400, "input[0].id",
              "item_not_found", item);
  EXPECT_EQ(Post("/v1/responses", {{"input", reference}}, Key("mine"))->status, 200);
  EXPECT_EQ(Get(id, "mine")->status, 200) << "what others ask does not touch it";
}

TEST_F(GatewayResponsesTest, OnlySoManyAreKept) {
  Start([](auto& options) { options.max_stored_responses = 2; });
  const std::string first = IdOf(Create({}));
  const std::string second = IdOf(Create({}));
  EXPECT_EQ(Get(first)->status, 200);
  const std::string third = IdOf(Create({}));
  EXPECT_EQ(Get(first)->status, 200);
  EXPECT_EQ(Get(second)->status, 404);
  EXPECT_EQ(Get(third)->status, 200);
}

TEST_F(GatewayResponsesTest, NothingIsKeptWhereTheServerKeepsNothing) {
  Start([](auto& options) { options.stored_responses_mib = 0; });
  const Json whole = Create({});
  EXPECT_EQ(whole["store"], false);
  EXPECT_EQ(Get(IdOf(whole))->status, 404);
  ExpectError(Post("/v1/responses", {{"input", "x"}, {"previous_response_id", IdOf(whole)}}), 400,
              "previous_response_id", "previous_response_not_found", "stores no responses");
}

TEST_F(GatewayResponsesTest, OnlyWhatRunsInTheBackgroundCouldBeCancelled) {
  Start();
  const std::string id = IdOf(Create({}));
  ExpectError(Post("/v1/responses/" + id + "/cancel", Json::object()), 400, "",
              "response_not_cancellable", "background");
  EXPECT_EQ(Post("/v1/responses/resp_0/cancel", Json::object())->status, 404);
  EXPECT_EQ(Post("/v1/responses/" + id, Json::object())->status, 404);
  ExpectError(Post("/v1/responses", {{"input", "x"}, {"background", true}}), 400, "background",
              "unsupported_parameter", "");
}

TEST_F(GatewayResponsesTest, WhatDoesNotFitIsNamedAsInput) {
  Start();
  ExpectError(Post("/v1/responses", {{"input", std::string(100000, 'x')}}), 400, "input",
              "context_length_exceeded", "");
}

TEST_F(GatewayResponsesTest, AFailureInAStreamEndsItWithAResponse) {
  engine().SetScript({.tokens = Ids("abc"),
                      .delay = absl::Milliseconds(50),
                      .fail_after = 2,
                      .status = grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no more")});
  Start();
  const std::vector<Json> events = CreateStream({{"input", "hi"}});
  const Json& last = events.back();
  EXPECT_EQ(last["type"], "response.failed");
  EXPECT_EQ(last["response"]["status"], "failed");
  EXPECT_THAT(last["response"]["error"]["message"].get<std::string>(), HasSubstr("no more"));
  EXPECT_EQ(last["sequence_number"], events.size() - 1);
  EXPECT_EQ(Get(IdOf(last["response"]))->status, 404);
}

}  // namespace
}  // namespace vallm::testing
