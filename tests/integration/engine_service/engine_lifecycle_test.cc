// The engine over time: limits, cancelling, deadlines, dying and hanging workers, draining.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/engine_service/demo_engine.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using absl::StatusCode;
using testing::IsOk;
using testing::StatusIs;

bool IsAlive(pid_t pid) {
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string text;
  std::getline(stat, text);
  return !text.empty() && text.find(") Z ") == std::string::npos;
}

// Remembers what came and lets a test wait for it.
class RecordingSink final : public RequestSink {
 public:
  void OnStart() override {
    Record([this] { started_ = true; });
  }
  void OnTokens(TokenBatch tokens) override {
    Record([&] {
      EXPECT_FALSE(completion_.has_value()) << "tokens after the end";
      for (const int32_t id : tokens.token_ids) ids_.push_back(id);
    });
  }
  void OnFinish(const Completion& completion) override {
    Record([&] {
      EXPECT_FALSE(completion_.has_value()) << "ended twice";
      completion_ = completion;
    });
  }

  std::vector<int32_t> WaitForTokens(size_t count) {
    MutexLock lock(mu_);
    while (ids_.size() < count && !completion_.has_value()) changed_.Wait(mu_);
    return ids_;
  }
  void WaitForStart() {
    MutexLock lock(mu_);
    while (!started_ && !completion_.has_value()) changed_.Wait(mu_);
  }
  Completion WaitForEnd() {
    MutexLock lock(mu_);
    while (!completion_.has_value()) changed_.Wait(mu_);
    return *completion_;
  }
  bool ended() {
    MutexLock lock(mu_);
    return completion_.has_value();
  }
  bool started() {
    MutexLock lock(mu_);
    return started_;
  }

 private:
  template <typename Change>
  void Record(const Change& change) {
    MutexLock lock(mu_);
    change();
    changed_.NotifyAll();
  }

  Mutex mu_;
  CondVar changed_;
  bool started_ = false;
  std::vector<int32_t> ids_;
  std::optional<Completion> completion_;
};

class EngineLifecycleTest : public ::testing::Test {
 protected:
  // Runs until it is stopped, one way or another.
  static GenerationRequest Endless(const std::string& id = "") {
    GenerationRequest request;
    request.request_id = id;
    request.prompt_ids = {1, 2, 3};
    request.sampling.temperature = 1.0f;
    request.sampling.seed = 1;
    request.ignore_eos = true;
    return request;
  }
  static GenerationRequest Short() {
    GenerationRequest request = Endless();
    request.max_tokens = 3;
    return request;
  }
  struct Live {
    std::shared_ptr<RecordingSink> sink;
    Submitted submitted;
  };
  static Live Start(Engine& engine, GenerationRequest request) {
    auto sink = std::make_shared<RecordingSink>();
    auto submitted = engine.Submit(std::move(request), sink);
    EXPECT_OK(submitted);
    return {sink, submitted.value_or(Submitted{})};
  }
  static void WaitForState(Engine& engine, EngineState state) {
    while (engine.load().state != state) absl::SleepFor(absl::Milliseconds(1));
  }
  static void ExpectIdle(const Engine& engine) {
    EXPECT_EQ(engine.load().running, 0);
    EXPECT_EQ(engine.load().waiting, 0);
    EXPECT_EQ(engine.load().free_kv_blocks, engine.load().total_kv_blocks);
  }
};

TEST_F(EngineLifecycleTest, DescribesItsModel) {
  const auto engine = ServingEngine(DemoOptions(1));
  const ModelInfo& info = engine->model_info();
  EXPECT_EQ(info.architecture, "Qwen3MoeForCausalLM");
  EXPECT_EQ(info.vocab_size, 6400);
  EXPECT_EQ(info.max_model_len, 4096);
  EXPECT_EQ(info.max_input_len, 4095);
  EXPECT_EQ(info.max_batch_size, 4);
  EXPECT_THAT(info.eos_ids, ::testing::ElementsAre(6272, 6270));
  EXPECT_EQ(info.default_sampling.temperature, 0.6f);
  EXPECT_EQ(info.default_sampling.top_p, 0.95f);
  EXPECT_EQ(info.default_sampling.top_k, 20);
  EXPECT_EQ(info.kv_cache_tokens, 4 * 4096);
  EXPECT_EQ(info.fingerprint.size(), 16u);
  EXPECT_EQ(engine->load().state, EngineState::kServing);
  EXPECT_GT(engine->loading_progress().total_bytes, 0);
  EXPECT_EQ(engine->loading_progress().done_bytes, engine->loading_progress().total_bytes);
}

TEST_F(EngineLifecycleTest, RefusesBadRequestsWithFieldValueAndLimit) {
  EngineOptions options = DemoOptions(1);
  options.max_model_len = 100;
  options.max_input_len = 60;
  const auto engine = ServingEngine(options);
  const auto refused = [&](const auto& change, const std::string& text) {
    GenerationRequest request = Short();
    change(request);
    EXPECT_THAT(engine->Submit(request, std::make_shared<RecordingSink>()),
                StatusIs(StatusCode::kInvalidArgument, text));
  };
  using R = GenerationRequest;
  refused([](R& r) { r.prompt_ids.clear(); }, "the prompt is empty");
  refused([](R& r) { r.prompt_ids[1] = 6400; }, "prompt_token_ids[1] is 6400; the vocabulary has");
  refused([](R& r) { r.prompt_ids[0] = -1; }, "prompt_token_ids[0] is -1");
  refused([](R& r) { r.prompt_ids.resize(61); }, "the prompt has 61 tokens; the limit is 60");
  refused([](R& r) { r.max_tokens = 98; },
          "the prompt has 3 tokens and max_tokens is 98, together 101; the model length is 100");
  refused([](R& r) { r.max_tokens = 0; }, "max_tokens is 0");
  refused([](R& r) { r.stop_ids = {6400}; }, "stop_token_ids[0] is 6400");
  refused([](R& r) { r.sampling.temperature = -1.0f; }, "temperature is -1");
  refused([](R& r) { r.top_logprobs = 6401; }, "logprobs.top_count is 6401");
  refused(
      [](R& r) {
        r.resumed_ids = {1, 2, 3, 4};
      },
      "resume_token_ids has 4 tokens; max_tokens is 3");
  refused(
      [](R& r) {
        r.resumed_ids = {6272, 5};
        r.ignore_eos = false;
      },
      "resume_token_ids[0] is 6272, which ends the request, but 1 more follow");
  ExpectIdle(*engine);
}

TEST_F(EngineLifecycleTest, AnAnswerThatWasWholeAlreadyEndsAtOnce) {
  const auto engine = ServingEngine(DemoOptions(1));
  GenerationRequest request = Short();
  request.resumed_ids = {7, 8, 9};
  auto answer = engine->Generate(request);
  ASSERT_OK(answer);
  EXPECT_EQ(answer->completion.reason, FinishReason::kLength);
  EXPECT_TRUE(answer->tokens.token_ids.empty());
  EXPECT_EQ(answer->completion.usage.completion_tokens, 3);
  request.resumed_ids = {7, 6272};
  request.ignore_eos = false;
  answer = engine->Generate(request);
  ASSERT_OK(answer);
  EXPECT_EQ(answer->completion.reason, FinishReason::kStop);
  EXPECT_EQ(answer->completion.stop_id, 6272);
}

TEST_F(EngineLifecycleTest, MaxTokensDefaultsToWhatFits) {
  EngineOptions options = DemoOptions(1);
  options.max_model_len = 20;
  const auto engine = ServingEngine(options);
  const auto answer = engine->Generate(Endless());
  ASSERT_OK(answer);
  EXPECT_EQ(answer->completion.reason, FinishReason::kLength);
  EXPECT_EQ(answer->tokens.token_ids.size(), 17u);
}

TEST_F(EngineLifecycleTest, AbortAndCancelFreeTheBlocks) {
  const auto engine = ServingEngine(DemoOptions(2));
  const Live aborted = Start(*engine, Endless("mine"));
  const Live cancelled = Start(*engine, Endless());
  EXPECT_THAT(engine->Submit(Endless("mine"), std::make_shared<RecordingSink>()),
              StatusIs(StatusCode::kAlreadyExists, "\"mine\""));
  aborted.sink->WaitForTokens(2);
  cancelled.sink->WaitForTokens(2);
  EXPECT_EQ(engine->load().running, 2);
  EXPECT_LT(engine->load().free_kv_blocks, engine->load().total_kv_blocks);

  EXPECT_OK(engine->Abort("mine"));
  const Completion completion = aborted.sink->WaitForEnd();
  EXPECT_OK(completion.status);
  EXPECT_EQ(completion.reason, FinishReason::kAbort);
  engine->Cancel(cancelled.submitted.handle);
  EXPECT_THAT(cancelled.sink->WaitForEnd().status, StatusIs(StatusCode::kCancelled, ""));

  EXPECT_THAT(engine->Abort("mine"), StatusIs(StatusCode::kNotFound, "\"mine\""));
  engine->Cancel(cancelled.submitted.handle);
  ExpectIdle(*engine);
  EXPECT_OK(engine->Generate(Short()));
}

TEST_F(EngineLifecycleTest, QueuesBeyondTheBatchAndRefusesBeyondTheQueue) {
  EngineOptions options = DemoOptions(1);
  options.max_batch_size = 1;
  options.max_queue_size = 1;
  const auto engine = ServingEngine(options);
  const Live running = Start(*engine, Endless());
  running.sink->WaitForTokens(1);
  const Live waiting = Start(*engine, Short());
  EXPECT_THAT(engine->Submit(Short(), std::make_shared<RecordingSink>()),
              StatusIs(StatusCode::kResourceExhausted, "1 requests run and 1 wait"));
  EXPECT_FALSE(waiting.sink->started());
  engine->Cancel(running.submitted.handle);
  EXPECT_OK(waiting.sink->WaitForEnd().status);
  EXPECT_TRUE(waiting.sink->started());
}

TEST_F(EngineLifecycleTest, DeadlinesEndRunningAndQueuedRequests) {
  EngineOptions options = DemoOptions(1);
  options.max_batch_size = 1;
  const auto engine = ServingEngine(options);
  GenerationRequest request = Endless();
  request.deadline = absl::Now() + absl::Milliseconds(300);
  const Live running = Start(*engine, request);
  const Live queued = Start(*engine, request);
  EXPECT_THAT(running.sink->WaitForEnd().status,
              StatusIs(StatusCode::kDeadlineExceeded, "output tokens"));
  EXPECT_THAT(queued.sink->WaitForEnd().status,
              StatusIs(StatusCode::kDeadlineExceeded, "after 0 output tokens"));
  EXPECT_GE(absl::Now(), request.deadline);
  EXPECT_FALSE(queued.sink->started());
  ExpectIdle(*engine);
}

class WorkerDeathTest : public EngineLifecycleTest,
                        public ::testing::WithParamInterface<int32_t> {};

TEST_P(WorkerDeathTest, EndsEveryRequestOnceAndServesAgainSoon) {
  const auto engine = ServingEngine(DemoOptions(GetParam()));
  const auto before = engine->Generate(Short());
  ASSERT_OK(before);
  std::vector<Live> live;
  for (int i = 0; i < 6; ++i) live.push_back(Start(*engine, Endless()));  // 4 run, 2 wait
  live[0].sink->WaitForTokens(3);
  const std::vector<pid_t> pids = engine->worker_pids();
  ASSERT_EQ(pids.size(), static_cast<size_t>(GetParam()));

  kill(pids.back(), SIGKILL);
  const absl::Time killed = absl::Now();
  for (const Live& request : live) {
    EXPECT_THAT(request.sink->WaitForEnd().status,
                StatusIs(StatusCode::kUnavailable, "killed by signal 9"));
  }
  WaitForState(*engine, EngineState::kServing);
  EXPECT_LT(absl::Now() - killed, absl::Seconds(5));
  for (const pid_t pid : pids) EXPECT_FALSE(IsAlive(pid));

  const auto after = engine->Generate(Short());
  ASSERT_OK(after);
  EXPECT_EQ(after->tokens.token_ids, before->tokens.token_ids);
  ExpectIdle(*engine);
}
INSTANTIATE_TEST_SUITE_P(TensorParallel, WorkerDeathTest, ::testing::Values(1, 2));

TEST_F(EngineLifecycleTest, AnIdleEngineNoticesADeathToo) {
  const auto engine = ServingEngine(DemoOptions(2));
  const std::vector<pid_t> pids = engine->worker_pids();
  kill(pids[0], SIGKILL);
  while (engine->worker_pids() == pids) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_OK(engine->WaitUntilServing());
  EXPECT_OK(engine->Generate(Short()));
}

TEST_F(EngineLifecycleTest, AHungWorkerIsReplaced) {
  EngineOptions options = DemoOptions(2);
  options.step_timeout = absl::Milliseconds(700);
  const auto engine = ServingEngine(options);
  const Live live = Start(*engine, Endless());
  live.sink->WaitForTokens(1);
  const pid_t hung = engine->worker_pids()[1];
  kill(hung, SIGSTOP);
  EXPECT_THAT(live.sink->WaitForEnd().status,
              StatusIs(StatusCode::kUnavailable, "did not finish step"));
  EXPECT_OK(engine->WaitUntilServing());
  EXPECT_FALSE(IsAlive(hung));
  EXPECT_OK(engine->Generate(Short()));
}

TEST_F(EngineLifecycleTest, DrainLetsRequestsEndAndTakesNoMore) {
  const auto engine = ServingEngine(DemoOptions(1));
  const std::vector<pid_t> pids = engine->worker_pids();
  GenerationRequest request = Endless();
  request.max_tokens = 200;
  const Live live = Start(*engine, request);
  std::thread drain([&] { engine->Drain(absl::Seconds(60)); });
  WaitForState(*engine, EngineState::kDraining);
  EXPECT_THAT(engine->Submit(Short(), std::make_shared<RecordingSink>()),
              StatusIs(StatusCode::kUnavailable, "draining"));
  drain.join();
  EXPECT_TRUE(live.sink->ended());
  EXPECT_EQ(live.sink->WaitForEnd().reason, FinishReason::kLength);
  EXPECT_EQ(live.sink->WaitForTokens(200).size(), 200u);
  for (const pid_t pid : pids) EXPECT_FALSE(IsAlive(pid));
  EXPECT_THAT(engine->WaitUntilServing(), StatusIs(StatusCode::kUnavailable, "draining"));
}

TEST_F(EngineLifecycleTest, DrainEndsWhatOutlivesTheGrace) {
  const auto engine = ServingEngine(DemoOptions(1));
  const Live live = Start(*engine, Endless());
  live.sink->WaitForTokens(1);
  engine->Drain(absl::Milliseconds(20));
  EXPECT_THAT(live.sink->WaitForEnd().status, StatusIs(StatusCode::kUnavailable, "draining"));
}

TEST_F(EngineLifecycleTest, AnEngineCanBeDroppedWhileItLoads) {
  auto engine = Engine::Create(DemoOptions(2));
  ASSERT_OK(engine);
  EXPECT_THAT((*engine)->Submit(Short(), std::make_shared<RecordingSink>()),
              StatusIs(StatusCode::kUnavailable, "loading"));
  engine->reset();
}

TEST_F(EngineLifecycleTest, WeightsThatCannotBeLoadedFailForGood) {
  namespace fs = std::filesystem;
  const fs::path dir = fs::path(::testing::TempDir()) / "missing_tensor_model";
  fs::remove_all(dir);
  fs::create_directories(dir);
  fs::copy(kDemoModel, dir);
  // The index still names the second shard's tensors, but norm.weight goes by another name.
  nlohmann::json config;
  std::ifstream(fs::path(kDemoModel) / "config.json") >> config;
  config["num_hidden_layers"] = 7;
  std::ofstream(dir / "config.json") << config;
  EngineOptions options = DemoOptions(1);
  options.model_dir = dir;
  const auto engine = Engine::Create(options);
  ASSERT_OK(engine);
  EXPECT_THAT((*engine)->WaitUntilServing(), StatusIs(StatusCode::kNotFound, "layers.6"));
  EXPECT_EQ((*engine)->load().state, EngineState::kFailed);
  fs::remove_all(dir);
}

TEST_F(EngineLifecycleTest, BadOptionsAreRefusedBeforeAnythingStarts) {
  const auto refused = [&](const auto& change, StatusCode code, const std::string& text) {
    EngineOptions options = DemoOptions(1);
    change(options);
    EXPECT_THAT(Engine::Create(options), StatusIs(code, text));
  };
  using O = EngineOptions;
  constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;
  refused([](O& o) { o.model_dir = "/nonexistent"; }, StatusCode::kNotFound, "/nonexistent");
  refused([](O& o) { o.device = "vacc"; }, StatusCode::kNotFound, "libvallm_vacc.so");
  refused([](O& o) { o.device = "abacus"; }, kInvalid, "\"abacus\"");
  refused([](O& o) { o.kv_cache_dtype = "fp4"; }, kInvalid, "\"fp4\"");
  refused([](O& o) { o.tensor_parallel_size = 3; }, kInvalid, "3");
  refused([](O& o) { o.max_model_len = 5000; }, kInvalid, "the model has 4096 positions");
  refused([](O& o) { o.max_input_len = 4096; }, kInvalid, "--max-input-len is 4096");
  refused([](O& o) { o.max_num_batched_tokens = 3; }, kInvalid, "at least 4");
  refused([](O& o) { o.kv_cache_bytes = 10; }, kInvalid, "no memory for a KV cache");
  refused([](O& o) { o.num_kv_blocks = 0; }, kInvalid, "--num-kv-blocks is 0");
}

TEST_F(EngineLifecycleTest, ASmallPoolMakesRequestsWaitAndRefusesWhatNeverFits) {
  EngineOptions options = DemoOptions(1);
  options.num_kv_blocks = 2;
  const auto engine = ServingEngine(options);
  GenerationRequest request = Short();
  request.max_tokens = 31;
  EXPECT_THAT(engine->Generate(request), StatusIs(StatusCode::kInvalidArgument,
                                                  "3 KV blocks of 16 positions; the pool has 2"));
  request.max_tokens = 30;
  for (const auto& answer : engine->GenerateAll({request, request, request})) {
    ASSERT_OK(answer);
    EXPECT_EQ(answer->tokens.token_ids.size(), 30u);
  }
  EXPECT_EQ(engine->Generate(Endless())->tokens.token_ids.size(), 30u) << "what fits";
}

TEST_F(EngineLifecycleTest, LeavesNoSharedMemoryBehind) {
  const auto shared = [] {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
      count += entry.path().filename().string().find("vallm") != std::string::npos;
    }
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code error;
      const std::string target = std::filesystem::read_symlink(entry, error).string();
      count += target.find("memfd:vallm") != std::string::npos;
    }
    return count;
  };
  ASSERT_EQ(shared(), 0);
  auto engine = ServingEngine(DemoOptions(2));
  EXPECT_EQ(shared(), 1) << "the one memfd";
  kill(engine->worker_pids()[0], SIGKILL);
  WaitForState(*engine, EngineState::kRestarting);
  EXPECT_OK(engine->WaitUntilServing());
  EXPECT_EQ(shared(), 1) << "that of the lost group is gone";
  engine.reset();
  EXPECT_EQ(shared(), 0);
}

}  // namespace
}  // namespace vallm::engine
