// The engine on dies behind a plug-in, with real worker processes: the same tokens as on the CPU, a
// die that is lost in the middle of an answer, and what is refused before anything starts.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/integration/engine_service/demo_engine.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using absl::StatusCode;
using ::vallm::testing::StatusIs;

const std::string kReference = VALLM_LIB_DIR "/libvallm_vacc_cpu.so";
const std::string kFaulty = VALLM_LIB_DIR "/libvallm_vacc_faulty.so";

class EngineVaccTest : public ::testing::Test {
 protected:
  void SetUp() override { setenv("VALLM_VACC_PLUGIN", kReference.c_str(), 1); }
  void TearDown() override {
    for (const char* name : {"VALLM_VACC_PLUGIN", "VALLM_VACC_FAULT", "VACC_VISIBLE_DEVICES"}) {
      unsetenv(name);
    }
  }

  static EngineOptions Options(const std::string& device, int32_t ranks) {
    EngineOptions options = DemoOptions(ranks);
    options.device = device;
    options.threads_per_worker = 1;
    return options;
  }

  static GenerationRequest Request(int32_t max_tokens) {
    GenerationRequest request;
    request.prompt_ids = GoldenPrompts().front().prompt_ids;
    request.max_tokens = max_tokens;
    request.sampling.temperature = 1.0f;
    request.sampling.seed = 7;
    request.ignore_eos = true;
    request.top_logprobs = 3;
    return request;
  }

  static void ExpectSame(const absl::StatusOr<Generation>& got,
                         const absl::StatusOr<Generation>& want) {
    ASSERT_OK(got);
    ASSERT_OK(want);
    ASSERT_OK(got->completion.status);
    EXPECT_EQ(got->tokens.token_ids, want->tokens.token_ids);
    ASSERT_EQ(got->tokens.logprobs.size(), want->tokens.logprobs.size());
    for (size_t i = 0; i < want->tokens.logprobs.size(); ++i) {
      EXPECT_EQ(got->tokens.logprobs[i].logprob, want->tokens.logprobs[i].logprob) << "token " << i;
    }
  }
};

TEST_F(EngineVaccTest, DiesGiveTheBitsOfTheCpu) {
  const auto want = ServingEngine(Options("cpu", 2))->Generate(Request(40));
  for (const int32_t ranks : {1, 2}) {
    ExpectSame(ServingEngine(Options("vacc", ranks))->Generate(Request(40)), want);
  }
}

TEST_F(EngineVaccTest, AnAnswerOutlivesTheLossOfADie) {
  const auto want = ServingEngine(Options("cpu", 2))->Generate(Request(60));
  const std::string marker = ::testing::TempDir() + "/lose_one_die";
  std::ofstream(marker) << "the first worker that opens its die loses it later";
  setenv("VALLM_VACC_PLUGIN", kFaulty.c_str(), 1);
  // Some calls after loading, within the answer: a step of this model makes about a hundred.
  setenv("VALLM_VACC_FAULT", ("device_lost=2500 marker=" + marker).c_str(), 1);
  const auto engine = ServingEngine(Options("vacc", 2));
  EXPECT_FALSE(std::filesystem::exists(marker));
  const auto cut = engine->Generate(Request(60));
  ASSERT_OK(cut);
  EXPECT_THAT(cut->completion.status, StatusIs(StatusCode::kUnavailable, "is lost"));
  EXPECT_GT(cut->tokens.token_ids.size(), 0u) << "lost within the answer";
  EXPECT_LT(cut->tokens.token_ids.size(), 60u);
  ASSERT_OK(engine->WaitUntilServing());
  ExpectSame(engine->Generate(Request(60)), want);
}

TEST_F(EngineVaccTest, RefusesWhatItCannotRunOn) {
  const auto refused = [](int32_t ranks, StatusCode code, const std::string& text) {
    EXPECT_THAT(Engine::Create(Options("vacc", ranks)), StatusIs(code, text));
  };
  setenv("VACC_VISIBLE_DEVICES", "5", 1);
  refused(2, StatusCode::kFailedPrecondition, "2 dies are needed, one for each rank, and 1 of the");
  setenv("VACC_VISIBLE_DEVICES", "5-", 1);
  refused(1, StatusCode::kInvalidArgument, "VACC_VISIBLE_DEVICES: \"5-\" is no list of dies");
  unsetenv("VACC_VISIBLE_DEVICES");
  setenv("VALLM_VACC_PLUGIN", kFaulty.c_str(), 1);
  setenv("VALLM_VACC_FAULT", "major=3", 1);
  refused(1, StatusCode::kFailedPrecondition, "speaks version 3.0");
  setenv("VALLM_VACC_FAULT", "failed_die=0", 1);
  refused(1, StatusCode::kFailedPrecondition, "die 0 has failed");
  setenv("VALLM_VACC_PLUGIN", "/nonexistent.so", 1);
  refused(1, StatusCode::kNotFound, "VALLM_VACC_PLUGIN: there is no file /nonexistent.so");
  unsetenv("VALLM_VACC_PLUGIN");
  refused(1, StatusCode::kNotFound, "no VACC plug-in is installed");
}

TEST_F(EngineVaccTest, TellsPluginsApartByTheirVersions) {
  const auto reference = PrepareEngine(Options("vacc", 1));
  const auto cpu = PrepareEngine(Options("cpu", 1));
  ASSERT_OK(reference);
  ASSERT_OK(cpu);
  EXPECT_NE(reference->info.fingerprint, cpu->info.fingerprint);
  setenv("VALLM_VACC_PLUGIN", kFaulty.c_str(), 1);  // goes by another name
  const auto other = PrepareEngine(Options("vacc", 1));
  ASSERT_OK(other);
  EXPECT_NE(other->info.fingerprint, reference->info.fingerprint);
}

}  // namespace
}  // namespace vallm::engine
