// The conformance suite of devices, over the CPU device, the reference plug-in, and plug-ins that
// are wrong in one way each: those must fail, and only in the checks of the law they break.
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine_service/device/conformance/conformance.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine::conformance {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAreArray;
using ::vallm::testing::StatusIs;

std::vector<Result> RunOver(const Target& target, const std::string& filter = "") {
  Options options;
  options.quick = true;
  options.filter = filter;
  return RunChecks(target, options, {});
}

Target TargetOf(const std::string& library, const std::string& fault = "") {
  setenv("VALLM_VACC_FAULT", fault.c_str(), 1);
  const auto plugin = VaccPlugin::Load(VALLM_LIB_DIR "/" + library);
  EXPECT_OK(plugin);
  auto target = PluginTarget(*plugin, /*die=*/0, /*threads=*/1);
  EXPECT_OK(target);
  return *std::move(target);
}

// "operation/law" of the checks that failed.
std::set<std::string> Failures(const std::vector<Result>& results) {
  std::set<std::string> laws;
  for (const Result& result : results) {
    if (result.outcome != Outcome::kFailed) continue;
    laws.insert(result.name.substr(0, result.name.find('/', result.name.find('/') + 1)));
    EXPECT_FALSE(result.detail.empty()) << result.name;
  }
  return laws;
}

void ExpectNoFailures(const std::vector<Result>& results) {
  EXPECT_GT(results.size(), 200u);
  for (const Result& result : results) {
    EXPECT_TRUE(result.outcome != Outcome::kFailed) << result.name << ": " << result.detail;
  }
}

TEST(DeviceConformance, TheCpuDevicePasses) { ExpectNoFailures(RunOver(CpuTarget(/*threads=*/1))); }

TEST(DeviceConformance, TheReferencePluginPassesAndLeavesNothingOfThePluginOut) {
  const std::vector<Result> results = RunOver(TargetOf("libvallm_vacc_cpu.so"));
  ExpectNoFailures(results);
  for (const Result& result : results) {
    if (result.name.rfind("plugin/", 0) != 0 && result.name.rfind("fault/", 0) != 0) continue;
    EXPECT_EQ(result.outcome, Outcome::kPassed) << result.name << ": " << result.detail;
  }
}

TEST(DeviceConformance, EveryBrokenLawIsFound) {
  struct Case {
    const char* fault;
    const char* filter;  // an operation; no other is touched by the fault
    std::vector<std::string> laws;
  };
  const Case cases[] = {
      {"wrong=rows_matter", "rms_norm/", {"rms_norm/rows"}},
      {"wrong=no_eps", "rms_norm/", {"rms_norm/close"}},
      {"wrong=one_group", "mat_mul/", {"mat_mul/tree"}},
      {"wrong=local_scales", "mat_mul/", {"mat_mul/close", "mat_mul/slices"}},
      {"wrong=careless_pack", "pack_matrix/", {"pack_matrix/refuses"}},
      {"wrong=truncating_store", "store_kv/", {"store_kv/rounds"}},
      {"wrong=high_ties", "moe_route/", {"moe_route/ties"}},
      {"wrong=double_reduce", "all_reduce_sum/", {"all_reduce_sum/tree"}},
      {"wrong=dirty_alloc", "memory/", {"memory/zeroed"}},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(Failures(RunOver(TargetOf("libvallm_vacc_faulty.so", c.fault), c.filter)),
                UnorderedElementsAreArray(c.laws))
        << c.fault;
  }
}

TEST(DeviceConformance, ValuesThatAreSlightlyWrongAreFound) {
  EXPECT_THAT(Failures(RunOver(TargetOf("libvallm_vacc_faulty.so", "wrong=heavy_experts"),
                               "moe_experts/close")),
              UnorderedElementsAreArray({"moe_experts/close"}));
  const auto peeking = Failures(
      RunOver(TargetOf("libvallm_vacc_faulty.so", "wrong=peeking_attention"), "attention/"));
  EXPECT_TRUE(peeking.count("attention/close") == 1 && peeking.count("attention/causal") == 1);
}

TEST(DeviceConformance, ADeviceThatFailsFailsItsChecksOneByOne) {
  const auto lost = RunOver(TargetOf("libvallm_vacc_faulty.so", "device_lost=3"), "add/");
  ASSERT_EQ(lost.size(), 3u);
  for (const Result& result : lost) {
    EXPECT_EQ(result.outcome, Outcome::kFailed);
    EXPECT_THAT(result.detail, HasSubstr("lost"));
  }
  EXPECT_EQ(Failures(RunOver(TargetOf("libvallm_vacc_faulty.so", "refuse_open"), "add/")).size(),
            1u);
  // What a plug-in does not have is skipped, not passed.
  for (const Result& result :
       RunOver(TargetOf("libvallm_vacc_faulty.so", "no_inject_fault"), "fault/")) {
    EXPECT_EQ(result.outcome, Outcome::kSkipped);
    EXPECT_THAT(result.detail, HasSubstr("inject_fault"));
  }
  // Without all_reduce_sum the host sums.
  EXPECT_THAT(
      Failures(RunOver(TargetOf("libvallm_vacc_faulty.so", "no_all_reduce"), "all_reduce_sum/")),
      UnorderedElementsAreArray(std::vector<std::string>{}));
}

// The C skeleton of docs/vacc-plugin.md: what it has passes, what it lacks is named.
TEST(DeviceConformance, TheSkeletonPassesWhatItHas) {
  const Target target = TargetOf("libvallm_vacc_skeleton.so");
  for (const char* filter : {"plugin/", "memory/", "add/exact", "gather_rows/", "kv_bytes/"}) {
    const auto results = RunOver(target, filter);
    EXPECT_FALSE(results.empty());
    for (const Result& result : results) {
      EXPECT_TRUE(result.outcome != Outcome::kFailed) << result.name << ": " << result.detail;
    }
  }
  for (const Result& result : RunOver(target, "silu_mul/")) {
    EXPECT_EQ(result.outcome, Outcome::kFailed) << result.name;
    EXPECT_THAT(result.detail, HasSubstr("silu_mul is not written yet"));
  }
}

TEST(DeviceConformance, DiesMustExist) {
  const auto plugin = VaccPlugin::Load(VALLM_LIB_DIR "/libvallm_vacc_cpu.so");
  ASSERT_OK(plugin);
  EXPECT_THAT(PluginTarget(*plugin, 16, 1).status(),
              StatusIs(absl::StatusCode::kNotFound, "no die 16"));
}

}  // namespace
}  // namespace vallm::engine::conformance
