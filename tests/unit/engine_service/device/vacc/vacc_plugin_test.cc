// Finding and refusing plug-ins, and what a plug-in's failures become.
#include "engine_service/device/vacc/vacc_plugin.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include "engine_service/device/create_device.h"
#include "engine_service/device/vacc/vacc_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using ::vallm::testing::StatusIs;

const std::string kReference = VALLM_LIB_DIR "/libvallm_vacc_cpu.so";
const std::string kFaulty = VALLM_LIB_DIR "/libvallm_vacc_faulty.so";

class VaccPluginTest : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const char* name :
         {"VALLM_VACC_FAULT", "VALLM_VACC_PLUGIN", "VACC_VISIBLE_DEVICES", "VALLM_VACC_CPU_DIES"}) {
      unsetenv(name);
    }
  }

  static void Break(const std::string& how) { setenv("VALLM_VACC_FAULT", how.c_str(), 1); }
  static absl::StatusOr<std::shared_ptr<const VaccPlugin>> LoadBroken(const std::string& how) {
    Break(how);
    return VaccPlugin::Load(kFaulty);
  }
  static std::unique_ptr<VaccDevice> OpenBroken(const std::string& how) {
    auto plugin = LoadBroken(how);
    EXPECT_OK(plugin);
    auto device = OpenVaccDevice(*plugin, {});
    EXPECT_OK(device);
    return *std::move(device);
  }
};

TEST_F(VaccPluginTest, TheReferencePluginTellsOfItself) {
  setenv("VALLM_VACC_CPU_DIES", "3", 1);
  const auto plugin = VaccPlugin::Load(kReference);
  ASSERT_OK(plugin);
  EXPECT_EQ((*plugin)->name(), "vallm CPU reference");
  EXPECT_FALSE((*plugin)->version().empty());
  EXPECT_EQ(*(*plugin)->DieCount(), 3);
  const auto die = (*plugin)->Die(2);
  ASSERT_OK(die);
  EXPECT_EQ(die->die, 2);
  EXPECT_EQ(die->health, VALLM_HEALTH_OK);
  EXPECT_GT(die->memory_total_bytes, die->memory_free_bytes);
  EXPECT_GT(die->memory_free_bytes, 0);
  EXPECT_THAT((*plugin)->Die(3), StatusIs(StatusCode::kNotFound, "no die 3"));
  EXPECT_GT((*plugin)->KvBytes({4, 2, 64}, KvType::kBf16, 5), 0);
  EXPECT_LT((*plugin)->KvBytes({4, 2, 48}, KvType::kBf16, 5), 0);
}

TEST_F(VaccPluginTest, RefusesWhatIsNoPlugin) {
  EXPECT_THAT(VaccPlugin::Load("/nonexistent/x.so"),
              StatusIs(StatusCode::kNotFound, "no file /nonexistent/x.so"));
  const std::string text = ::testing::TempDir() + "/text.so";
  std::ofstream(text) << "no library";
  EXPECT_THAT(VaccPlugin::Load(text), StatusIs(StatusCode::kFailedPrecondition, "cannot load"));
  EXPECT_THAT(VaccPlugin::Load("libm.so.6"),
              StatusIs(StatusCode::kFailedPrecondition, "exports no vallm_vacc_plugin"));
}

TEST_F(VaccPluginTest, RefusesTablesOfAnotherVersion) {
  EXPECT_THAT(LoadBroken("major=2"),
              StatusIs(StatusCode::kFailedPrecondition, "speaks version 2.0 of the device"));
  EXPECT_THAT(LoadBroken("no_table"),
              StatusIs(StatusCode::kFailedPrecondition, "nothing for version 1.0"));
  EXPECT_THAT(LoadBroken("table_size=100"),
              StatusIs(StatusCode::kFailedPrecondition, "its table has 100 bytes"));
  EXPECT_THAT(LoadBroken("no_name"), StatusIs(StatusCode::kFailedPrecondition, "no name"));
  for (const char* function : {"kv_bytes", "mat_mul", "moe_experts"}) {
    EXPECT_THAT(LoadBroken(std::string("missing=") + function),
                StatusIs(StatusCode::kFailedPrecondition, std::string("has no ") + function));
  }
}

TEST_F(VaccPluginTest, FunctionsBeyondAnOlderTableAreAbsent) {
  const auto plugin =
      LoadBroken("table_size=" + std::to_string(offsetof(vallm_vacc_api, all_reduce_sum)));
  ASSERT_OK(plugin);
  EXPECT_EQ((*plugin)->api().all_reduce_sum, nullptr);
  EXPECT_EQ((*plugin)->api().inject_fault, nullptr);
}

TEST_F(VaccPluginTest, TheVariableNamesThePlugin) {
  setenv(kPluginVariable, kReference.c_str(), 1);
  ASSERT_OK(VaccPlugin::Find());
  setenv(kPluginVariable, "/nonexistent/x.so", 1);
  EXPECT_THAT(VaccPlugin::Find(),
              StatusIs(StatusCode::kNotFound, "VALLM_VACC_PLUGIN: there is no"));
  unsetenv(kPluginVariable);
  EXPECT_THAT(VaccPlugin::Find(), StatusIs(StatusCode::kNotFound, "Install the vendor's"));
}

TEST_F(VaccPluginTest, EveryRankGetsItsDie) {
  setenv(kPluginVariable, kReference.c_str(), 1);
  auto plan = PlanDevice("vacc", 4);
  ASSERT_OK(plan);
  EXPECT_THAT(plan->dies, ElementsAre(0, 1, 2, 3));
  EXPECT_GT(*plan->free_bytes, 0);
  EXPECT_THAT(plan->kind->Numerics(), ::testing::StartsWith("vacc vallm CPU reference "));
  setenv("VACC_VISIBLE_DEVICES", "9,4-6", 1);
  EXPECT_THAT(PlanDevice("vacc", 2)->dies, ElementsAre(9, 4));
  EXPECT_THAT(PlanDevice("vacc", 5),
              StatusIs(StatusCode::kFailedPrecondition,
                       "5 dies are needed, one for each rank, and 4 of the 16"));
  setenv("VACC_VISIBLE_DEVICES", "16", 1);
  EXPECT_THAT(PlanDevice("vacc", 1), StatusIs(StatusCode::kInvalidArgument, "names die 16"));
}

TEST_F(VaccPluginTest, FailedDiesAreNotUsed) {
  setenv(kPluginVariable, kFaulty.c_str(), 1);
  Break("failed_die=1");
  EXPECT_THAT(PlanDevice("vacc", 2), StatusIs(StatusCode::kFailedPrecondition,
                                              "die 1 has failed: uncorrectable ECC errors"));
  setenv("VACC_VISIBLE_DEVICES", "0,2", 1);
  EXPECT_OK(PlanDevice("vacc", 2));
}

TEST_F(VaccPluginTest, OpenNamesTheDieThatRefuses) {
  const auto plugin = LoadBroken("refuse_open");
  ASSERT_OK(plugin);
  EXPECT_THAT(OpenVaccDevice(*plugin, {.dies = {3, 5}, .rank = 1, .host_threads = 1}),
              StatusIs(StatusCode::kUnavailable, "vacc die 5: die 5 does not answer"));
  EXPECT_THAT(OpenVaccDevice(*plugin, {.dies = {3}, .rank = 1, .host_threads = 1}),
              StatusIs(StatusCode::kInvalidArgument, "rank 1 of 1 dies"));
  EXPECT_THAT(OpenVaccDevice(*plugin, {.dies = {3}, .rank = 0, .host_threads = 0}),
              StatusIs(StatusCode::kInvalidArgument, "0 host threads"));
}

TEST_F(VaccPluginTest, ALostDeviceStaysLost) {
  const auto device = OpenBroken("device_lost=2");
  const auto buffer = device->Allocate(64);
  ASSERT_OK(buffer);
  std::vector<std::byte> bytes(64);
  EXPECT_OK(device->Upload(bytes, **buffer));
  EXPECT_THAT(device->Download(**buffer, bytes), StatusIs(StatusCode::kUnavailable, "lost"));
  // Even a plug-in that would answer again is not asked.
  EXPECT_THAT(device->InjectFault(VALLM_FAULT_DEVICE_LOST, 100),
              StatusIs(StatusCode::kUnavailable, "lost"));
  EXPECT_THAT(device->Add(**buffer, **buffer, 1, 16), StatusIs(StatusCode::kUnavailable, "lost"));
}

TEST_F(VaccPluginTest, ADeviceWithoutMemoryGoesOn) {
  const auto device = OpenBroken("out_of_memory=100");
  auto first = device->Allocate(64);
  ASSERT_OK(first);
  EXPECT_THAT(device->Allocate(64), StatusIs(StatusCode::kResourceExhausted, "36 bytes free"));
  std::vector<std::byte> bytes(64);
  EXPECT_OK(device->Download(**first, bytes));
  first->reset();
  EXPECT_OK(device->Allocate(100));
}

TEST_F(VaccPluginTest, TheHostSumsWhereThePluginDoesNot) {
  // One rank after the other: what matters is that data gets out, through the collective and back.
  class Doubling final : public Collective {
   public:
    int rank() const override { return 0; }
    int size() const override { return 2; }
    absl::Status AllReduceSum(std::span<float> data) override {
      for (float& x : data) x *= 2;
      return absl::OkStatus();
    }
  };
  class Gone final : public Collective {
   public:
    int rank() const override { return 0; }
    int size() const override { return 2; }
    absl::Status AllReduceSum(std::span<float> /*data*/) override {
      return absl::UnavailableError("rank 1 is gone");
    }
  };
  for (const char* how : {"", "no_all_reduce"}) {
    const auto device = OpenBroken(how);
    const float values[3] = {1, 2, 3};
    const auto buffer = device->Allocate(12);
    ASSERT_OK(buffer);
    ASSERT_OK(device->Upload(std::as_bytes(std::span(values)), **buffer));
    Doubling doubling;
    ASSERT_OK(device->AllReduceSum(**buffer, 2, doubling));
    float got[3];
    ASSERT_OK(device->Download(**buffer, std::as_writable_bytes(std::span(got))));
    EXPECT_THAT(got, ElementsAre(2, 4, 3)) << how;
    Gone gone;
    EXPECT_THAT(device->AllReduceSum(**buffer, 2, gone),
                StatusIs(StatusCode::kUnavailable, "rank 1 is gone"));
  }
}

}  // namespace
}  // namespace vallm::engine
