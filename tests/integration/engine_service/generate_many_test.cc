// GenerateMany: many requests on one stream get what each would have got on its own.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/engine_service/engine_server_fixture.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using absl::StatusCode;
using testing::StatusIs;

class GenerateManyTest : public EngineServerTest {
 protected:
  using Many = grpc::ClientReaderWriter<v1::GenerateCommand, v1::GenerateEvents>;

  // What was said of one request.
  struct Story {
    bool admitted = false;
    v1::GenerateChunk all;
    std::optional<v1::GenerateEnd> end;
  };

  std::unique_ptr<Many> Open() { return stub_->GenerateMany(&context_); }

  static bool Start(Many& many, uint64_t id, const v1::GenerateRequest& request,
                    absl::Duration timeout = absl::InfiniteDuration()) {
    v1::GenerateCommand command;
    command.set_id(id);
    *command.mutable_start()->mutable_request() = request;
    if (timeout != absl::InfiniteDuration()) {
      command.mutable_start()->mutable_timeout()->set_nanos(
          static_cast<int>(absl::ToInt64Nanoseconds(timeout)));
    }
    return many.Write(command);
  }
  static bool Cancel(Many& many, uint64_t id) {
    v1::GenerateCommand command;
    command.set_id(id);
    command.mutable_cancel();
    return many.Write(command);
  }
  // Reads until `count` requests have ended, or the stream has.
  void ReadEnds(Many& many, size_t count) {
    v1::GenerateEvents events;
    while (ended_ < count && many.Read(&events)) Take(events);
    EXPECT_EQ(ended_, count);
  }
  void Take(const v1::GenerateEvents& events) {
    ++messages_;
    for (const v1::GenerateEvent& event : events.events()) {
      Story& story = stories_[event.id()];
      EXPECT_FALSE(story.end.has_value()) << "something follows the end of " << event.id();
      story.admitted |= event.admitted();
      if (event.has_chunk()) {
        EXPECT_TRUE(story.admitted) << event.id();
        story.all.MergeFrom(event.chunk());
      }
      if (!event.has_end()) continue;
      story.end = event.end();
      ++ended_;
    }
  }
  absl::Status EndOf(uint64_t id) {
    const v1::GenerateEnd end = stories_[id].end.value_or(v1::GenerateEnd());
    return FromGrpc({static_cast<grpc::StatusCode>(end.code()), end.message()});
  }
  void ExpectNothingRuns() {
    WatchUntil([](const v1::Load& load) {
      return load.running_count() == 0 && load.waiting_count() == 0 &&
             load.free_kv_block_count() == load.total_kv_block_count();
    });
  }

  grpc::ClientContext context_;
  std::map<uint64_t, Story> stories_;
  size_t ended_ = 0;
  int messages_ = 0;
};

TEST_F(GenerateManyTest, EachGetsWhatAStreamOfItsOwnWouldSay) {
  EngineServerTest::Start(DemoOptions(1));
  std::vector<v1::GenerateRequest> requests;
  for (int i = 0; i < 6; ++i) {  // two more than run at once
    requests.push_back(Short(12 + i));
    requests.back().mutable_sampling()->set_seed(i);
    requests.back().mutable_logprobs()->set_top_count(2);
    if (i % 2 == 0) requests.back().mutable_prompt_logprobs()->set_top_count(1);
  }
  const auto many = Open();
  for (size_t i = 0; i < requests.size(); ++i) ASSERT_TRUE(Start(*many, 100 + i, requests[i]));
  ReadEnds(*many, requests.size());
  int tokens = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const Story& story = stories_[100 + i];
    EXPECT_OK(EndOf(100 + i));
    const Answer alone = Stream(requests[i]);
    v1::GenerateChunk expected = alone.all;
    *expected.mutable_usage() = story.all.usage();  // times differ
    EXPECT_EQ(story.all.SerializeAsString(), expected.SerializeAsString()) << i;
    tokens += story.all.token_ids_size();
  }
  EXPECT_LT(messages_, tokens) << "the tokens of a step share a message";
  // The stream outlives them, and ends when the client has no more to say.
  ASSERT_TRUE(Start(*many, 100, requests[0]));
  stories_.clear();
  ended_ = 0;
  ASSERT_TRUE(many->WritesDone());
  ReadEnds(*many, 1);
  v1::GenerateEvents events;
  EXPECT_FALSE(many->Read(&events));
  EXPECT_OK(FromGrpc(many->Finish()));
}

TEST_F(GenerateManyTest, OneThatIsRefusedOrFailsEndsAlone) {
  EngineServerTest::Start(DemoOptions(1));
  const auto many = Open();
  v1::GenerateRequest bad = Short();
  bad.mutable_sampling()->set_temperature(-1);
  v1::GenerateRequest taken = Endless();
  taken.set_request_id("taken");
  ASSERT_TRUE(Start(*many, 1, taken));
  ASSERT_TRUE(Start(*many, 2, bad));
  ASSERT_TRUE(Start(*many, 3, Endless(), absl::Milliseconds(300)));
  ASSERT_TRUE(Start(*many, 4, Short()));
  ReadEnds(*many, 3);
  EXPECT_THAT(EndOf(2), StatusIs(StatusCode::kInvalidArgument, "temperature"));
  EXPECT_TRUE(stories_[2].end->refused());
  EXPECT_THAT(EndOf(3), StatusIs(StatusCode::kDeadlineExceeded, ""));
  EXPECT_FALSE(stories_[3].end->refused());
  EXPECT_OK(EndOf(4));
  ASSERT_TRUE(Start(*many, 5, taken));
  ReadEnds(*many, 4);
  EXPECT_THAT(EndOf(5), StatusIs(StatusCode::kAlreadyExists, "taken"));
  ASSERT_TRUE(Cancel(*many, 1));
  ASSERT_TRUE(Cancel(*many, 2)) << "one that has ended: nothing to do";
  ReadEnds(*many, 5);
  EXPECT_THAT(EndOf(1), StatusIs(StatusCode::kCancelled, ""));
  EXPECT_FALSE(stories_[1].end->refused());
  ExpectNothingRuns();
}

TEST_F(GenerateManyTest, AStreamThatGoesTakesItsRequestsAlong) {
  EngineServerTest::Start(DemoOptions(1));
  const auto many = Open();
  for (uint64_t id = 1; id <= 6; ++id) ASSERT_TRUE(Start(*many, id, Endless()));
  v1::GenerateEvents events;
  ASSERT_TRUE(many->Read(&events));
  context_.TryCancel();
  ExpectNothingRuns();
  EXPECT_THAT(FromGrpc(many->Finish()), StatusIs(StatusCode::kCancelled, ""));
}

TEST_F(GenerateManyTest, AnIdThatIsTakenEndsTheStream) {
  EngineServerTest::Start(DemoOptions(1));
  const auto many = Open();
  ASSERT_TRUE(Start(*many, 1, Endless()));
  v1::GenerateEvents events;
  ASSERT_TRUE(many->Read(&events));
  ASSERT_TRUE(Start(*many, 1, Endless()));
  while (many->Read(&events)) {
  }
  EXPECT_THAT(FromGrpc(many->Finish()), StatusIs(StatusCode::kInvalidArgument, "id: 1"));
  ExpectNothingRuns();
}

TEST_F(GenerateManyTest, AnIdIsFreeOnceItsEndIsThere) {
  EngineServerTest::Start(DemoOptions(1));
  const auto many = Open();
  v1::GenerateRequest bad = Short();
  bad.mutable_sampling()->set_temperature(-1);
  for (size_t i = 1; i <= 2000; ++i) {
    ASSERT_TRUE(Start(*many, 1, bad));
    stories_.clear();
    ReadEnds(*many, i);
    ASSERT_THAT(EndOf(1), StatusIs(StatusCode::kInvalidArgument, "temperature"));
  }
}

TEST_F(GenerateManyTest, ACommandOfALaterVersionEndsAlone) {
  EngineServerTest::Start(DemoOptions(1));
  const auto many = Open();
  ASSERT_TRUE(Start(*many, 1, Endless()));
  v1::GenerateCommand unknown;
  for (const uint64_t id : {1, 2}) {
    unknown.set_id(id);
    ASSERT_TRUE(many->Write(unknown));
  }
  ReadEnds(*many, 1);
  EXPECT_THAT(EndOf(2), StatusIs(StatusCode::kUnimplemented, "command"));
  EXPECT_TRUE(stories_[2].end->refused());
  ASSERT_TRUE(Cancel(*many, 1));
  ReadEnds(*many, 2);
  EXPECT_THAT(EndOf(1), StatusIs(StatusCode::kCancelled, ""));
}

// A field of a message, other than a status of gRPC's, must be valid UTF-8 to be read at all.
TEST_F(GenerateManyTest, AnEndCanBeReadWhateverTheRequestSaid) {
  EngineServerTest::Start(DemoOptions(1));
  const auto many = Open();
  for (const char* regex : {"x(?é)", "\\é", "x(?P<é", "[é-a]", "é{9,1}", "(?é)x", "\\p{é}"}) {
    v1::GenerateRequest request = Short(4);
    request.mutable_constraint()->set_regex(regex);
    ASSERT_TRUE(Start(*many, 1, request));
    stories_.clear();
    ReadEnds(*many, ended_ + 1);
    EXPECT_TRUE(stories_[1].end.has_value()) << regex;
  }
}

TEST_F(GenerateManyTest, AClientThatDoesNotReadIsNotReadEither) {
  EngineServerTest::Start(DemoOptions(1));
  const auto many = Open();
  // The answers are as long: the id is taken.
  v1::GenerateRequest request = Endless();
  request.set_request_id(std::string(1500, 'x'));
  std::atomic<uint64_t> written{0};
  std::thread writer([&] {
    for (uint64_t id = 1; Start(*many, id, request); ++id) written = id;
  });
  // It comes to a halt where both sides' buffers are full.
  uint64_t before;
  do {
    before = written;
    absl::SleepFor(absl::Milliseconds(300));
  } while (before == 0 || written != before);
  // And goes on when the client reads.
  v1::GenerateEvents events;
  while (written < before + 100) ASSERT_TRUE(many->Read(&events));
  context_.TryCancel();
  writer.join();
}

TEST_F(GenerateManyTest, ADrainEndsTheStreamWhenItsRequestsHaveEnded) {
  EngineServerTest::Start(DemoOptions(1));
  const auto many = Open();
  ASSERT_TRUE(Start(*many, 1, Short(20)));
  v1::GenerateEvents events;
  ASSERT_TRUE(many->Read(&events));
  Take(events);
  server_->Drain(absl::Seconds(10));
  ReadEnds(*many, 1);
  EXPECT_OK(EndOf(1));
  EXPECT_EQ(stories_[1].all.token_ids_size(), 20);
  EXPECT_FALSE(many->Read(&events));
  EXPECT_THAT(FromGrpc(many->Finish()), StatusIs(StatusCode::kUnavailable, "stopping"));
}

}  // namespace
}  // namespace vallm::engine
