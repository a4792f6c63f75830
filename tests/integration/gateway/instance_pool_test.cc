// InstancePool and InstanceWatcher over a real engine process that is stopped, goes on, and dies.

#include "gateway/routing/instance_pool.h"

#include <signal.h>

#include <regex>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/subprocess.h"

namespace vallm::gateway {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

class InstancePoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    engine_ = std::make_unique<testing::Subprocess>(std::vector<std::string>{
        VALLM_BIN_DIR "/vallm-engine", "--model",
        VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8", "--device", "mock",
        "--mock-step-time", "0.005", "--listen", "127.0.0.1:0"});
    std::smatch port;
    std::string log;
    ASSERT_TRUE(Eventually([&] {
      log = engine_->ErrorOutput();
      return std::regex_search(log, port, std::regex("\\(port ([0-9]+)\\)"));
    })) << log;
    InstancePoolOptions options;
    options.addresses = {"127.0.0.1:" + port[1].str()};
    options.watch = {.probe_interval = absl::Milliseconds(50),
                     .probe_timeout = absl::Milliseconds(500)};
    pool_ = std::make_unique<InstancePool>(options);
    ASSERT_TRUE(Eventually([this] { return Serving(); }));
  }

  InstanceSnapshot Snapshot() const { return pool_->Snapshot()[0]; }
  bool Serving() const { return Snapshot().serving; }

  std::unique_ptr<testing::Subprocess> engine_;
  std::unique_ptr<InstancePool> pool_;
};

TEST_F(InstancePoolTest, AnInstanceThatIsStoppedIsSilentUntilItGoesOn) {
  EXPECT_FALSE(Snapshot().silent);
  engine_->Signal(SIGSTOP);
  EXPECT_TRUE(Eventually([this] { return Snapshot().silent; }));
  EXPECT_FALSE(Serving());
  EXPECT_EQ(Snapshot().state, "unreachable");
  engine_->Signal(SIGCONT);
  EXPECT_TRUE(Eventually([this] { return Serving(); }));
  EXPECT_FALSE(Snapshot().silent);
}

TEST_F(InstancePoolTest, AnInstanceThatDiesIsNoticedAtOnce) {
  engine_->Signal(SIGKILL);
  const absl::Time killed = absl::Now();
  EXPECT_TRUE(Eventually([this] { return !Serving(); }));
  EXPECT_LT(absl::Now() - killed, absl::Seconds(2));
}

TEST_F(InstancePoolTest, AnInstanceThatIsToldToEndDrains) {
  // Something has to run there, or it would be gone at once.
  std::optional<InstancePool::Lease> lease;
  const auto ticket = pool_->Acquire(SlotRequest(), [&](absl::StatusOr<InstancePool::Lease> slot) {
    if (slot.ok()) lease.emplace(*std::move(slot));
  });
  ASSERT_OK(ticket);
  ASSERT_TRUE(lease.has_value());
  grpc::ClientContext context;
  v1::GenerateRequest request;
  request.mutable_prompt_token_ids()->add_ids(1);
  request.mutable_stop()->set_max_tokens(2000);
  request.mutable_stop()->set_eos_mode(v1::EOS_MODE_IGNORE);
  const auto reader = lease->stub()->GenerateStream(&context, request);
  v1::GenerateChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  EXPECT_TRUE(Eventually([this] { return Snapshot().last_progress.has_value(); }));
  const auto condition = lease->condition();
  EXPECT_FALSE(condition->draining);
  engine_->Signal(SIGTERM);
  EXPECT_TRUE(Eventually([&] { return condition->draining.load(); }));
  EXPECT_FALSE(Serving());
  context.TryCancel();
  reader->Finish();
}

TEST_F(InstancePoolTest, ARefusalTakesItOutUntilItWasAskedAnew) {
  std::optional<InstancePool::Lease> lease;
  const auto take = [&](absl::StatusOr<InstancePool::Lease> slot) {
    if (slot.ok()) lease.emplace(*std::move(slot));
  };
  ASSERT_OK(pool_->Acquire(SlotRequest(), take));
  ASSERT_TRUE(lease.has_value());
  lease->ReportRefusal();
  EXPECT_FALSE(Serving());
  EXPECT_TRUE(Eventually([this] { return Serving(); }));
  lease->ReportRefusal();  // of a connection that is gone: says nothing about this one
  EXPECT_TRUE(Serving());
}

}  // namespace
}  // namespace vallm::gateway
