// `vallm devices` and `vallm device-conformance` as programs: what they print and how they end.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/subprocess.h"

namespace vallm::tools {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Subprocess;

const std::string kReference = VALLM_LIB_DIR "/libvallm_vacc_cpu.so";
const std::string kFaulty = VALLM_LIB_DIR "/libvallm_vacc_faulty.so";

struct Ended {
  int code;
  std::string out, err;
};

Ended Vallm(std::vector<std::string> args, const std::vector<std::string>& environment = {}) {
  args.insert(args.begin(), VALLM_BIN_DIR "/vallm");
  Subprocess process(args, "", environment);
  EXPECT_TRUE(process.Wait(absl::Minutes(1)));
  return {process.exit_code(), process.Output(), process.ErrorOutput()};
}

TEST(Devices, ListsProcessorsAndSaysWhatIsMissing) {
  const Ended table = Vallm({"devices"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("usable"));
  EXPECT_THAT(table.out, HasSubstr("no VACC plug-in is installed"));
  const json all = json::parse(Vallm({"devices", "--json"}).out);
  EXPECT_GE(all.at("cpu").at("usable_cores").get<int>(), 1);
  EXPECT_GT(all.at("cpu").at("memory_total_bytes").get<int64_t>(), 0);
  EXPECT_TRUE(all.at("vacc").at("plugin").is_null());
  EXPECT_THAT(all.at("vacc").at("message").get<std::string>(), HasSubstr("Install the vendor's"));
}

TEST(Devices, ListsDiesAndWhichAreVisible) {
  const std::vector<std::string> environment = {"VALLM_VACC_PLUGIN=" + kFaulty,
                                                "VALLM_VACC_CPU_DIES=3", "VACC_VISIBLE_DEVICES=2,0",
                                                "VALLM_VACC_FAULT=failed_die=1"};
  const Ended table = Vallm({"devices"}, environment);
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("vacc  3 dies"));
  EXPECT_THAT(table.out, HasSubstr("uncorrectable ECC errors"));
  const json vacc = json::parse(Vallm({"devices", "--json"}, environment).out).at("vacc");
  EXPECT_EQ(vacc.at("plugin").at("abi"), "1.0");
  EXPECT_EQ(vacc.at("visible_dies"), json::parse("[2, 0]"));
  ASSERT_EQ(vacc.at("dies").size(), 3u);
  EXPECT_EQ(vacc.at("dies")[1].at("health"), "failed");
  EXPECT_EQ(vacc.at("dies")[1].at("visible"), false);
  EXPECT_EQ(vacc.at("dies")[2].at("health"), "ok");
  EXPECT_EQ(vacc.at("dies")[2].at("visible"), true);
  EXPECT_TRUE(vacc.at("dies")[2].at("temperature_celsius").is_null());
}

TEST(Devices, FailsWhereAPluginCannotBeUsed) {
  const Ended other =
      Vallm({"devices"}, {"VALLM_VACC_PLUGIN=" + kFaulty, "VALLM_VACC_FAULT=major=9"});
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("speaks version 9.0"));
  EXPECT_THAT(other.out, HasSubstr("cpu ")) << "the processors are listed all the same";
  EXPECT_EQ(Vallm({"devices"}, {"VALLM_VACC_PLUGIN=/nonexistent.so"}).code, 1);
  const Ended dies =
      Vallm({"devices"}, {"VALLM_VACC_PLUGIN=" + kReference, "VACC_VISIBLE_DEVICES=99"});
  EXPECT_EQ(dies.code, 1);
  EXPECT_THAT(dies.err, HasSubstr("names die 99"));
}

TEST(DeviceConformance, PrintsATableAndEndsWithZeroWhenNothingFailed) {
  const Ended ended = Vallm({"device-conformance", kReference, "--quick", "--filter", "rms_norm/"});
  EXPECT_EQ(ended.code, 0) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("pass  rms_norm/close/in place"));
  EXPECT_THAT(ended.out, HasSubstr(" of 1e-06"));
  EXPECT_THAT(ended.out, HasSubstr(" passed, 0 failed, 0 skipped"));
  const Ended cpu = Vallm({"device-conformance", "cpu", "--filter", "moe_route/ties"});
  EXPECT_EQ(cpu.code, 0) << cpu.out;
}

TEST(DeviceConformance, SaysWhatFailed) {
  const std::vector<std::string> environment = {"VALLM_VACC_FAULT=wrong=rows_matter"};
  const std::vector<std::string> args = {"device-conformance", kFaulty, "--filter",
                                         "rms_norm/rows"};
  const Ended table = Vallm(args, environment);
  EXPECT_EQ(table.code, 1);
  EXPECT_THAT(table.out, HasSubstr("FAIL  rms_norm/rows/"));
  EXPECT_THAT(table.out, HasSubstr("on their own"));
  std::vector<std::string> with_json = args;
  with_json.push_back("--json");
  const Ended report = Vallm(with_json, environment);
  EXPECT_EQ(report.code, 1);
  const json all = json::parse(report.out);
  EXPECT_EQ(all.at("failed"), 1);
  EXPECT_EQ(all.at("checks").at(0).at("outcome"), "fail");
}

TEST(DeviceConformance, RefusesWhatItCannotRun) {
  EXPECT_THAT(Vallm({"device-conformance", "/nonexistent.so"}).err, HasSubstr("no file"));
  EXPECT_THAT(Vallm({"device-conformance", "nonexistent.so"}).err, HasSubstr("./nonexistent.so"));
  EXPECT_THAT(Vallm({"device-conformance"}).err, HasSubstr("no VACC plug-in is installed"));
  const Ended die = Vallm({"device-conformance", kReference, "--die", "99"});
  EXPECT_EQ(die.code, 1);
  EXPECT_THAT(die.err, HasSubstr("no die 99"));
  const Ended filter = Vallm({"device-conformance", "cpu", "--filter", "nonsense"});
  EXPECT_EQ(filter.code, 1);
  EXPECT_THAT(filter.err, HasSubstr("--list"));
  EXPECT_EQ(Vallm({"device-conformance", "cpu", "--threads", "0"}).code, 2);
  const Ended list = Vallm({"device-conformance", "--list", "--quick"});
  EXPECT_EQ(list.code, 0);
  EXPECT_THAT(list.out, HasSubstr("mat_mul/tree/"));
  EXPECT_THAT(list.out, Not(HasSubstr("Qwen3-14B down")));
}

}  // namespace
}  // namespace vallm::tools
