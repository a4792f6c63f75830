#include "gateway/generation/engine_output.h"

#include <cmath>

#include "gmock/gmock.h"

namespace vallm::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

v1::GenerateRequest Request() {
  v1::GenerateRequest request;
  request.set_request_id("r");
  for (const int32_t id : {7, 8, 9}) request.mutable_prompt_token_ids()->add_ids(id);
  request.mutable_sampling()->set_seed(42);
  request.mutable_stop()->set_max_tokens(10);
  return request;
}

v1::GenerateChunk Chunk(const std::vector<int32_t>& ids) {
  v1::GenerateChunk chunk;
  for (const int32_t id : ids) {
    chunk.add_token_ids(id);
    chunk.add_logprobs()->set_logprob(-static_cast<float>(id));
  }
  return chunk;
}

v1::GenerateChunk PromptChunk(int count) {
  v1::GenerateChunk chunk;
  for (int i = 1; i <= count; ++i) chunk.add_prompt_logprobs()->set_rank(i);
  return chunk;
}

std::vector<int32_t> Resumed(const v1::GenerateRequest& request) {
  return {request.resume_token_ids().begin(), request.resume_token_ids().end()};
}

TEST(EngineOutputTest, TheFirstRunIsTheRequest) {
  EngineOutput output(Request());
  EXPECT_EQ(output.NextRun().SerializeAsString(), Request().SerializeAsString());
}

TEST(EngineOutputTest, ALaterRunGoesOnBehindTheTokensSoFarWithTheSameSeed) {
  EngineOutput output(Request());
  output.NextRun();
  output.Add(Chunk({1, 2}));
  output.Add(Chunk({3}));
  const v1::GenerateRequest next = output.NextRun();
  EXPECT_THAT(Resumed(next), ElementsAre(1, 2, 3));
  EXPECT_EQ(next.sampling().seed(), 42);
  EXPECT_EQ(next.stop().max_tokens(), 10);
  EXPECT_EQ(next.request_id(), "r");
  output.Add(Chunk({4}));
  EXPECT_THAT(output.ids(), ElementsAre(1, 2, 3, 4));
  ASSERT_THAT(output.logprobs(), SizeIs(4));
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(output.logprobs()[i].token_id, i + 1);
    EXPECT_EQ(output.logprobs()[i].logprob, static_cast<float>(-i - 1));
  }
}

TEST(EngineOutputTest, PromptLogprobsAreTakenOnce) {
  v1::GenerateRequest request = Request();
  request.mutable_prompt_logprobs()->set_top_count(0);
  EngineOutput output(request);
  output.NextRun();
  output.Add(PromptChunk(2));
  output.Add(Chunk({1}));
  // Refused together with tokens to resume from, and complete anyway.
  EXPECT_FALSE(output.NextRun().has_prompt_logprobs());
  ASSERT_THAT(output.prompt_logprobs(), SizeIs(3));
  EXPECT_TRUE(std::isnan(output.prompt_logprobs()[0].logprob));
  EXPECT_EQ(output.prompt_logprobs()[2].token_id, 9);
  EXPECT_EQ(output.prompt_logprobs()[2].rank, 2);
}

TEST(EngineOutputTest, IncompletePromptLogprobsAreTakenAnew) {
  v1::GenerateRequest request = Request();
  request.mutable_prompt_logprobs()->set_top_count(0);
  EngineOutput output(request);
  output.NextRun();
  output.Add(PromptChunk(1));
  EXPECT_TRUE(output.NextRun().has_prompt_logprobs());
  output.Add(PromptChunk(2));
  ASSERT_THAT(output.prompt_logprobs(), SizeIs(3));
  EXPECT_EQ(output.prompt_logprobs()[1].rank, 1);
  EXPECT_EQ(output.prompt_logprobs()[2].rank, 2);
}

TEST(EngineOutputTest, AStopStringEndsTheAnswerForGood) {
  EngineOutput output(Request());
  output.NextRun();
  output.Add(Chunk({1, 2, 3, 4}));
  output.Stop(3);
  v1::GenerateChunk late = Chunk({5});
  late.set_finish_reason(v1::FINISH_REASON_LENGTH);
  output.Add(late);
  EXPECT_THAT(output.ids(), ElementsAre(1, 2, 3));
  EXPECT_EQ(output.finish_reason(), "stop");
}

TEST(EngineOutputTest, TheLastChunkSaysHowItEnded) {
  v1::GenerateRequest request = Request();
  request.mutable_stop()->add_stop_token_ids(5);
  EngineOutput output(request);
  output.NextRun();
  EXPECT_THAT(output.finish_reason(), IsEmpty());
  v1::GenerateChunk last = Chunk({5});
  last.set_finish_reason(v1::FINISH_REASON_STOP);
  last.set_stop_token_id(5);
  last.mutable_usage()->set_cached_token_count(2);
  output.Add(last);
  EXPECT_EQ(output.finish_reason(), "stop");
  EXPECT_EQ(output.stop_token_id(), 5);
  EXPECT_EQ(output.cached_tokens(), 2);
}

TEST(EngineOutputTest, TheModelsOwnEndIsNotNamed) {
  EngineOutput output(Request());
  output.NextRun();
  v1::GenerateChunk last = Chunk({5});
  last.set_finish_reason(v1::FINISH_REASON_STOP);
  last.set_stop_token_id(5);
  output.Add(last);
  EXPECT_EQ(output.stop_token_id(), std::nullopt);
}

}  // namespace
}  // namespace vallm::gateway
