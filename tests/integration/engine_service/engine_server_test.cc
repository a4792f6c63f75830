// vallm.v1.Engine as its clients see it: over a channel, with real workers behind it.
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "common/grpc_status.h"
#include "common/metrics.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/engine_service/engine_server_fixture.h"
#include "tests/testing/grpc_probe.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;

TEST_F(EngineServerTest, StreamedAndWholeAnswersAreTheSame) {
  Start(DemoOptions(2));
  v1::GenerateRequest request = Short(20);
  request.mutable_logprobs()->set_top_count(3);
  request.mutable_prompt_logprobs()->set_top_count(2);
  request.mutable_sampling()->set_repetition_penalty(1.1f);
  request.mutable_sampling()->add_bad_words()->add_ids(5);
  request.set_request_id("one");
  grpc::ClientContext context;
  v1::GenerateResponse whole;
  ASSERT_OK(FromGrpc(stub_->Generate(&context, request, &whole)));
  const Answer streamed = Stream(request);
  ASSERT_OK(FromGrpc(streamed.status));

  EXPECT_EQ(whole.request_id(), "one");
  EXPECT_EQ(whole.seed(), 4);
  EXPECT_EQ(whole.finish_reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(whole.token_ids_size(), 20);
  EXPECT_EQ(whole.logprobs_size(), 20);
  EXPECT_EQ(whole.logprobs(7).top_size(), 3);
  EXPECT_EQ(whole.prompt_logprobs_size(), 2) << "of the three tokens but the first";
  EXPECT_EQ(whole.prompt_logprobs(1).top_size(), 2);
  EXPECT_EQ(streamed.all.prompt_logprobs_size(), 2);
  EXPECT_EQ(whole.usage().prompt_token_count(), 3);
  EXPECT_EQ(whole.usage().completion_token_count(), 20);
  EXPECT_GT(whole.usage().decode_time().nanos(), 0);

  EXPECT_EQ(streamed.final_chunk_count, 1);
  EXPECT_EQ(streamed.all.seed(), 4);
  EXPECT_EQ(streamed.all.finish_reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(streamed.all.usage().completion_token_count(), 20);
  ASSERT_EQ(streamed.all.token_ids_size(), 20);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(streamed.all.token_ids(i), whole.token_ids(i));
    EXPECT_EQ(streamed.all.logprobs(i).SerializeAsString(), whole.logprobs(i).SerializeAsString());
  }
}

TEST_F(EngineServerTest, TextIsEncodedWithItsSpecialTokens) {
  Start(DemoOptions(1));
  const std::string text = "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n";
  const std::vector<int32_t> ids = tokenizer_->Encode(text).value();
  v1::GenerateRequest request;
  request.mutable_sampling()->set_temperature(0);
  request.set_text(text);
  const Answer by_text = Stream(request);
  ASSERT_OK(FromGrpc(by_text.status));
  request.mutable_prompt_token_ids()->mutable_ids()->Add(ids.begin(), ids.end());
  const Answer by_ids = Stream(request);
  EXPECT_EQ(by_text.all.usage().prompt_token_count(), int(ids.size()));
  EXPECT_THAT(by_text.all.token_ids(), ::testing::ElementsAreArray(by_ids.all.token_ids()));
  EXPECT_EQ(by_text.all.finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(by_text.all.stop_token_id(), 6272);
}

TEST_F(EngineServerTest, InvalidRequestsNameFieldValueAndLimit) {
  EngineOptions options = DemoOptions(1);
  options.max_model_len = 50;
  Start(options);
  const auto refused = [&](const auto& change, const std::string& text) {
    v1::GenerateRequest request = Short();
    change(request);
    EXPECT_THAT(Refusal(request), StatusIs(StatusCode::kInvalidArgument, text));
  };
  using R = v1::GenerateRequest;
  refused([](R& r) { r.clear_prompt(); }, "neither prompt_token_ids nor text");
  refused([](R& r) { r.set_text(""); }, "text is empty");
  refused([](R& r) { r.mutable_prompt_token_ids()->clear_ids(); }, "the prompt is empty");
  refused([](R& r) { r.mutable_prompt_token_ids()->set_ids(0, 9999); },
          "prompt_token_ids[0] is 9999; the vocabulary has ids 0 to 6399");
  refused([](R& r) { r.mutable_prompt_token_ids()->mutable_ids()->Resize(50, 1); },
          "the prompt has 50 tokens; the limit is 49");
  refused([](R& r) { r.mutable_stop()->set_max_tokens(48); },
          "the prompt has 3 tokens and max_tokens is 48, together 51; the model length is 50");
  refused([](R& r) { r.mutable_sampling()->set_temperature(-2); }, "temperature is -2");
  refused([](R& r) { r.mutable_sampling()->set_top_p(0); }, "top_p is 0");
  refused([](R& r) { r.mutable_sampling()->set_top_k(-1); }, "top_k is -1");
  refused([](R& r) { r.mutable_stop()->set_max_tokens(0); }, "max_tokens is 0");
  refused([](R& r) { r.mutable_logprobs()->set_top_count(-1); }, "logprobs.top_count is -1");
  refused([](R& r) { r.mutable_prompt_logprobs()->set_top_count(-1); },
          "prompt_logprobs.top_count is -1");
  refused([](R& r) { r.mutable_sampling()->set_min_p(1.5f); }, "min_p is 1.5");
  refused([](R& r) { r.mutable_sampling()->set_repetition_penalty(0); }, "repetition_penalty is 0");
  refused([](R& r) { r.mutable_sampling()->set_presence_penalty(3); }, "presence_penalty is 3");
  refused([](R& r) { r.mutable_sampling()->set_frequency_penalty(-3); }, "frequency_penalty is -3");
  refused([](R& r) { (*r.mutable_sampling()->mutable_logit_bias())[6400] = 1; },
          "logit_bias has id 6400");
  refused([](R& r) { r.mutable_thinking()->set_token_budget(-1); }, "thinking.token_budget is -1");
  refused([](R& r) { r.mutable_thinking()->set_end_position(-1); }, "thinking.end_position is -1");
  refused([](R& r) { r.mutable_sampling()->add_bad_words(); }, "bad_words[0] is empty");
  refused([](R& r) { r.mutable_sampling()->mutable_allowed_token_ids(); },
          "allowed_token_ids is empty");
  refused([](R& r) { r.mutable_stop()->set_min_tokens(-1); }, "min_tokens is -1");
  refused([](R& r) { r.mutable_stop()->set_eos_mode(static_cast<v1::EosMode>(9)); },
          "stop.eos_mode is 9");
}

TEST_F(EngineServerTest, MetadataComesWhenTheRequestLeavesTheQueue) {
  EngineOptions options = DemoOptions(1);
  options.max_batch_size = 1;
  options.max_queue_size = 1;
  Start(options);
  grpc::ClientContext running_context, queued_context;
  auto running = stub_->GenerateStream(&running_context, Endless());
  v1::GenerateChunk chunk;
  ASSERT_TRUE(running->Read(&chunk));
  auto queued = stub_->GenerateStream(&queued_context, Short());
  WatchUntil([](const v1::Load& load) { return load.waiting_count() == 1; });
  EXPECT_THAT(Refusal(Short()),
              StatusIs(StatusCode::kResourceExhausted, "1 requests run and 1 wait"));

  std::atomic<bool> admitted = false;
  std::thread waiting([&] {
    queued->WaitForInitialMetadata();
    admitted = true;
  });
  EXPECT_EQ(engine_->load().waiting, 1);
  EXPECT_FALSE(admitted) << "it is still in the queue";
  running_context.TryCancel();
  waiting.join();
  const Answer answer = ReadAll(*queued);
  EXPECT_OK(FromGrpc(answer.status));
  EXPECT_EQ(answer.all.token_ids_size(), 5);
}

TEST_F(EngineServerTest, CancellingFreesTheBlocks) {
  Start(DemoOptions(1));
  for (const bool read_first : {true, false}) {
    grpc::ClientContext context;
    auto reader = stub_->GenerateStream(&context, Endless());
    v1::GenerateChunk chunk;
    if (read_first) {
      ASSERT_TRUE(reader->Read(&chunk));
    }
    const absl::Time cancelled = absl::Now();
    context.TryCancel();
    const v1::Load load = WatchUntil([](const v1::Load& l) {
      return l.running_count() == 0 && l.free_kv_block_count() == l.total_kv_block_count();
    });
    EXPECT_EQ(load.waiting_count(), 0);
    EXPECT_LT(absl::Now() - cancelled, absl::Seconds(2));
  }
}

TEST_F(EngineServerTest, AbortEndsAStreamWithItsReason) {
  Start(DemoOptions(1));
  v1::GenerateRequest request = Endless();
  request.set_request_id("to-abort");
  grpc::ClientContext context;
  auto reader = stub_->GenerateStream(&context, request);
  v1::GenerateChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  EXPECT_THAT(Refusal(request), StatusIs(StatusCode::kAlreadyExists, "to-abort"));
  v1::AbortRequest abort;
  abort.set_request_id("to-abort");
  v1::AbortResponse response;
  grpc::ClientContext abort_context, again_context;
  EXPECT_OK(FromGrpc(stub_->Abort(&abort_context, abort, &response)));
  const Answer answer = ReadAll(*reader);
  EXPECT_OK(FromGrpc(answer.status));
  EXPECT_EQ(answer.all.finish_reason(), v1::FINISH_REASON_ABORT);
  EXPECT_THAT(FromGrpc(stub_->Abort(&again_context, abort, &response)),
              StatusIs(StatusCode::kNotFound, "to-abort"));
}

TEST_F(EngineServerTest, EndThinkingGivesThePositionThatRepeatsIt) {
  Start(DemoOptions(1));
  v1::GenerateRequest request;
  request.set_text("<|im_start|>assistant\n<think>\n");
  request.set_request_id("thinker");
  request.mutable_sampling()->set_temperature(2);
  request.mutable_sampling()->set_seed(4);
  (*request.mutable_sampling()->mutable_logit_bias())[6295] = -100;  // </think>
  request.mutable_stop()->set_eos_mode(v1::EOS_MODE_IGNORE);
  request.mutable_stop()->set_max_tokens(300);
  const auto end_thinking = [&](v1::EndThinkingResponse* response) {
    v1::EndThinkingRequest end;
    end.set_request_id("thinker");
    grpc::ClientContext context;
    return FromGrpc(stub_->EndThinking(&context, end, response));
  };
  v1::EndThinkingResponse response;
  EXPECT_THAT(end_thinking(&response), StatusIs(StatusCode::kNotFound, "thinker"));
  grpc::ClientContext context;
  auto reader = stub_->GenerateStream(&context, request);
  v1::GenerateChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  EXPECT_OK(end_thinking(&response));
  Answer ended = ReadAll(*reader);
  EXPECT_OK(FromGrpc(ended.status));
  chunk.MergeFrom(ended.all);
  EXPECT_GE(response.end_position(), 1);
  const auto& ids = chunk.token_ids();
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 6295), 1);

  request.mutable_thinking()->set_end_position(response.end_position());
  const Answer again = Stream(request);
  EXPECT_THAT(again.all.token_ids(), ::testing::ElementsAreArray(ids));
  request.mutable_thinking()->clear_end_position();
  request.mutable_thinking()->set_token_budget(response.end_position());
  EXPECT_THAT(Stream(request).all.token_ids(), ::testing::ElementsAreArray(ids))
      << "as if it had been the budget";
}

TEST_F(EngineServerTest, TheRpcsDeadlineIsTheRequests) {
  Start(DemoOptions(1));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  v1::GenerateResponse response;
  EXPECT_THAT(FromGrpc(stub_->Generate(&context, Endless(), &response)),
              StatusIs(StatusCode::kDeadlineExceeded, ""));
  WatchUntil([](const v1::Load& load) { return load.running_count() == 0; });
}

TEST_F(EngineServerTest, AKilledWorkerEndsStreamsOnceAndHealthFollows) {
  Start(DemoOptions(2));
  EXPECT_EQ(testing::CheckHealth(channel_, "vallm.v1.Engine"), "SERVING");
  EXPECT_EQ(testing::CheckHealth(channel_, ""), "SERVING");
  const Answer before = Stream(Short());
  std::vector<std::thread> streams;
  std::vector<Answer> answers(3);
  for (Answer& answer : answers) {
    streams.emplace_back([this, &answer] { answer = Stream(Endless()); });
  }
  WatchUntil([](const v1::Load& load) { return load.running_count() == 3; });
  const int64_t generated = engine_->load().generated_tokens;
  WatchUntil([&](const v1::Load& load) { return load.generated_token_count() > generated + 6; });

  kill(engine_->worker_pids()[1], SIGKILL);
  const absl::Time killed = absl::Now();
  for (std::thread& stream : streams) stream.join();
  for (const Answer& answer : answers) {
    EXPECT_THAT(FromGrpc(answer.status), StatusIs(StatusCode::kUnavailable, "killed by signal 9"));
    EXPECT_EQ(answer.final_chunk_count, 0);
    EXPECT_GT(answer.all.token_ids_size(), 0);
  }
  WatchUntil([](const v1::Load& load) { return load.state() == v1::INSTANCE_STATE_SERVING; });
  EXPECT_LT(absl::Now() - killed, absl::Seconds(5));
  EXPECT_EQ(testing::CheckHealth(channel_, ""), "SERVING");
  const Answer after = Stream(Short());
  ASSERT_OK(FromGrpc(after.status));
  EXPECT_THAT(after.all.token_ids(), ::testing::ElementsAreArray(before.all.token_ids()));
}

TEST_F(EngineServerTest, HealthIsNotServingWhileWorkersAreDown) {
  EngineOptions options = DemoOptions(1);
  // Long enough to look at: a stopped worker is only noticed after the step time-out.
  options.step_timeout = absl::Milliseconds(500);
  Start(options);
  const pid_t worker = engine_->worker_pids()[0];
  kill(worker, SIGSTOP);
  EXPECT_THAT(FromGrpc(Stream(Short()).status), StatusIs(StatusCode::kUnavailable, "within"));
  engine_->WaitUntilServing().IgnoreError();
  EXPECT_OK(FromGrpc(Stream(Short()).status));
  // The second loss in a row waits before it starts anew: time to see the state in between.
  kill(engine_->worker_pids()[0], SIGKILL);
  WatchUntil([](const v1::Load& load) { return load.state() == v1::INSTANCE_STATE_RESTARTING; });
  EXPECT_EQ(testing::CheckHealth(channel_, "vallm.v1.Engine"), "NOT_SERVING");
  EXPECT_THAT(Refusal(Short()), StatusIs(StatusCode::kUnavailable, "restarting"));
  WatchUntil([](const v1::Load& load) { return load.state() == v1::INSTANCE_STATE_SERVING; });
}

TEST_F(EngineServerTest, DrainLetsStreamsEndRefusesOthersAndEndsWatches) {
  Start(DemoOptions(1));
  grpc::ClientContext context, watch_context;
  auto reader = stub_->GenerateStream(&context, Short(150));
  v1::GenerateChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  auto watch = stub_->WatchLoad(&watch_context, {});
  v1::Load load;
  ASSERT_TRUE(watch->Read(&load));
  std::thread drain([&] { server_->Drain(absl::Seconds(60)); });
  while (load.state() != v1::INSTANCE_STATE_DRAINING) ASSERT_TRUE(watch->Read(&load));
  EXPECT_THAT(Refusal(Short()), StatusIs(StatusCode::kUnavailable, "draining"));
  const Answer answer = ReadAll(*reader);
  EXPECT_OK(FromGrpc(answer.status));
  EXPECT_EQ(answer.all.usage().completion_token_count(), 150);
  while (watch->Read(&load)) {
  }
  EXPECT_THAT(FromGrpc(watch->Finish()), StatusIs(StatusCode::kUnavailable, ""));
  drain.join();
}

TEST_F(EngineServerTest, AReaderThatSleepsLosesNothing) {
  Start(DemoOptions(1));
  grpc::ClientContext context;
  auto reader = stub_->GenerateStream(&context, Short(300));
  // Everything is generated before the first read; most of it comes as few chunks.
  WatchUntil([](const v1::Load& load) { return load.generated_token_count() == 300; });
  const Answer answer = ReadAll(*reader);
  EXPECT_OK(FromGrpc(answer.status));
  EXPECT_EQ(answer.all.token_ids_size(), 300);
  EXPECT_EQ(answer.final_chunk_count, 1);
}

TEST_F(EngineServerTest, AResumedAnswerThatWasWholeIsOneLastChunk) {
  Start(DemoOptions(1));
  v1::GenerateRequest request = Short(2);
  request.add_resume_token_ids(10);
  request.add_resume_token_ids(11);
  const Answer answer = Stream(request);
  EXPECT_OK(FromGrpc(answer.status));
  EXPECT_EQ(answer.chunk_count, 1);
  EXPECT_EQ(answer.all.token_ids_size(), 0);
  EXPECT_EQ(answer.all.finish_reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(answer.all.usage().completion_token_count(), 2);
}

TEST_F(EngineServerTest, AWatcherIsToldNoMoreOftenThanItAsked) {
  Start(DemoOptions(1));
  grpc::ClientContext context;
  v1::WatchLoadRequest request;
  request.mutable_min_interval()->set_nanos(100'000'000);
  const absl::Time begin = absl::Now();
  auto watch = stub_->WatchLoad(&context, request);
  v1::Load load;
  ASSERT_TRUE(watch->Read(&load)) << "at once";
  EXPECT_EQ(load.state(), v1::INSTANCE_STATE_SERVING);
  ASSERT_OK(FromGrpc(Stream(Short(200)).status));  // hundreds of changes
  int messages = 1;
  while (load.generated_token_count() < 200) {
    ASSERT_TRUE(watch->Read(&load));
    ++messages;
  }
  EXPECT_LE(messages, 2 + (absl::Now() - begin) / absl::Milliseconds(100));
  context.TryCancel();
}

TEST_F(EngineServerTest, DescribesTheModelAndItself) {
  Start(DemoOptions(2));
  grpc::ClientContext context;
  v1::ModelInfo info;
  ASSERT_OK(FromGrpc(stub_->GetModelInfo(&context, {}, &info)));
  EXPECT_EQ(info.architecture(), "Qwen3MoeForCausalLM");
  EXPECT_EQ(info.max_model_len(), 4096);
  EXPECT_EQ(info.max_input_len(), 4095);
  EXPECT_EQ(info.tensor_parallel_size(), 2);
  EXPECT_EQ(info.device(), "cpu");
  EXPECT_EQ(info.default_sampling().top_k(), 20);
  EXPECT_EQ(info.default_sampling().min_p(), 0);
  EXPECT_EQ(info.default_sampling().repetition_penalty(), 1);
  EXPECT_FALSE(info.default_sampling().has_seed());
  EXPECT_THAT(info.eos_token_ids(), ::testing::ElementsAre(6272, 6270));
  EXPECT_THAT(testing::ListServices(channel_),
              AllOf(HasSubstr("vallm.v1.Engine"), HasSubstr("grpc.health.v1.Health")));
}

TEST_F(EngineServerTest, PrefixesAreFoundUntilTheyAreForgotten) {
  Start(DemoOptions(1));
  v1::GenerateRequest request = Short(2);
  request.mutable_prompt_token_ids()->mutable_ids()->Resize(40, 5);
  const auto cached = [&] { return Stream(request).all.usage().cached_token_count(); };
  const auto reset = [&] {
    grpc::ClientContext context;
    v1::ResetPrefixCacheResponse response;
    EXPECT_OK(FromGrpc(stub_->ResetPrefixCache(&context, {}, &response)));
    return response.dropped_block_count();
  };
  EXPECT_EQ(cached(), 0);
  EXPECT_EQ(cached(), 32);
  request.set_cache_salt("mine");
  EXPECT_EQ(cached(), 0);
  EXPECT_EQ(cached(), 32);
  const v1::Load load = WatchUntil([](const v1::Load& l) { return l.running_count() == 0; });
  EXPECT_EQ(load.prefix_queried_token_count(), 4 * 40);
  EXPECT_EQ(load.prefix_hit_token_count(), 2 * 32);
  EXPECT_EQ(load.cached_kv_block_count(), 4);
  EXPECT_EQ(load.free_kv_block_count(), load.total_kv_block_count());
  EXPECT_EQ(reset(), 4);
  EXPECT_EQ(cached(), 0);
  request.set_cache_salt(std::string(257, 'x'));
  EXPECT_THAT(Refusal(request),
              StatusIs(StatusCode::kInvalidArgument, "cache_salt has 257 bytes; the limit is 256"));
}

TEST_F(EngineServerTest, ABetterPriorityOvertakesInTheQueue) {
  EngineOptions options = DemoOptions(1);
  options.max_batch_size = 1;
  Start(options);
  grpc::ClientContext running_context, later_context, sooner_context;
  auto running = stub_->GenerateStream(&running_context, Endless());
  v1::GenerateRequest later = Endless(), sooner = Short();
  sooner.set_priority(-1);
  auto waits = stub_->GenerateStream(&later_context, later);
  WatchUntil([](const v1::Load& load) { return load.waiting_count() == 1; });
  auto overtakes = stub_->GenerateStream(&sooner_context, sooner);
  WatchUntil([](const v1::Load& load) { return load.waiting_count() == 2; });
  running_context.TryCancel();
  EXPECT_OK(FromGrpc(ReadAll(*overtakes).status)) << "the other one would never end";
}

TEST_F(EngineServerTest, DrainAnswersWhenTheLastRequestHasEnded) {
  Start(DemoOptions(1));
  grpc::ClientContext running_context, drain_context, given_up_context;
  auto running = stub_->GenerateStream(&running_context, Endless());
  v1::GenerateChunk chunk;
  ASSERT_TRUE(running->Read(&chunk));
  std::atomic<bool> drained = false;
  v1::DrainResponse response;
  std::thread drain([&] {
    EXPECT_OK(FromGrpc(stub_->Drain(&drain_context, {}, &response)));
    drained = true;
  });
  const v1::Load load =
      WatchUntil([](const v1::Load& l) { return l.state() == v1::INSTANCE_STATE_DRAINING; });
  EXPECT_EQ(load.running_count(), 1);
  EXPECT_GT(load.tokens_per_second(), 0);
  EXPECT_THAT(Refusal(Short()), StatusIs(StatusCode::kUnavailable, "draining"));
  given_up_context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  v1::DrainResponse none;
  EXPECT_EQ(stub_->Drain(&given_up_context, {}, &none).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  ASSERT_TRUE(running->Read(&chunk)) << "what runs goes on";
  EXPECT_FALSE(drained);
  running_context.TryCancel();
  drain.join();
  EXPECT_EQ(response.load().running_count(), 0);
  EXPECT_EQ(response.load().tokens_per_second(), 0);
  EXPECT_EQ(response.load().free_kv_block_count(), response.load().total_kv_block_count());
  grpc::ClientContext again;
  EXPECT_OK(FromGrpc(stub_->Drain(&again, {}, &none))) << "there is nothing left to wait for";
}

TEST_F(EngineServerTest, AStoppingServerTurnsDrainCallsAway) {
  Start(DemoOptions(1));
  grpc::ClientContext running_context, drain_context;
  auto running = stub_->GenerateStream(&running_context, Endless());
  v1::GenerateChunk chunk;
  ASSERT_TRUE(running->Read(&chunk));
  std::thread drain([&] {
    v1::DrainResponse response;
    // What it answers depends on which comes first, the end of the requests or that of the server.
    const absl::Status status = FromGrpc(stub_->Drain(&drain_context, {}, &response));
    EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
  });
  WatchUntil([](const v1::Load& l) { return l.state() == v1::INSTANCE_STATE_DRAINING; });
  server_.reset();
  drain.join();
}

TEST_F(EngineServerTest, AFirstTokenCountsWhenItComes) {
  Start(DemoOptions(1));
  grpc::ClientContext context;
  auto stream = stub_->GenerateStream(&context, Endless());
  v1::GenerateChunk chunk;
  ASSERT_TRUE(stream->Read(&chunk));
  EXPECT_THAT(
      MetricsText(*metrics_.registry()),
      AllOf(HasSubstr("vllm:time_to_first_token_seconds_count{engine=\"0\",model_name=\"demo\"} 1"),
            HasSubstr("vllm:e2e_request_latency_seconds_count{engine=\"0\",model_name=\"demo\"} 0"),
            Not(HasSubstr("vllm:prompt_tokens_total{engine=\"0\",model_name=\"demo\"} 0"))));
  context.TryCancel();
}

TEST_F(EngineServerTest, CountsUnderVllmsNames) {
  Start(DemoOptions(1));
  ASSERT_OK(FromGrpc(Stream(Short(7)).status));
  WatchUntil([](const v1::Load& load) { return load.running_count() == 0; });
  EXPECT_THAT(
      MetricsText(*metrics_.registry()),
      AllOf(HasSubstr("vllm:generation_tokens_total{engine=\"0\",model_name=\"demo\"} 7"),
            HasSubstr("vllm:prompt_tokens_total{engine=\"0\",model_name=\"demo\"} 3"),
            HasSubstr("vllm:request_success_total{engine=\"0\",finished_reason=\"length\","
                      "model_name=\"demo\"} 1"),
            HasSubstr("vllm:time_to_first_token_seconds_count{engine=\"0\",model_name=\"demo\"} 1"),
            HasSubstr("vllm:inter_token_latency_seconds_count{engine=\"0\",model_name=\"demo\"} 6"),
            HasSubstr("vllm:request_params_n_sum{engine=\"0\",model_name=\"demo\"} 1"),
            HasSubstr("vllm:request_params_max_tokens_sum{engine=\"0\",model_name=\"demo\"} 7"),
            HasSubstr("vllm:num_requests_running{engine=\"0\",model_name=\"demo\"} 0")));
  server_.reset();  // a step is counted after its tokens were sent
  EXPECT_THAT(
      MetricsText(*metrics_.registry()),
      AllOf(HasSubstr("vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"demo\"} 3"),
            HasSubstr("vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"demo\"} 0"),
            HasSubstr("vllm:num_preemptions_total{engine=\"0\",model_name=\"demo\"} 0"),
            HasSubstr("vllm:iteration_tokens_total_count{engine=\"0\",model_name=\"demo\"} 7"),
            HasSubstr("vllm:iteration_tokens_total_sum{engine=\"0\",model_name=\"demo\"} 9"),
            HasSubstr("vallm_engine_step_seconds_count{engine=\"0\",model_name=\"demo\","
                      "phase=\"schedule\"} 7"),
            HasSubstr("vallm_engine_schedule_cpu_seconds_count{engine=\"0\","),
            HasSubstr("vllm:cache_config_info{block_size=\"16\",enable_prefix_caching=\"True\","),
            HasSubstr("vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"demo\"} 0")));
}

}  // namespace
}  // namespace vallm::engine
