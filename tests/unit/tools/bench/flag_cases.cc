#include "tests/unit/tools/bench/flag_cases.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/tls_front.h"

namespace vallm::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A member of the requests, as sampling flags have it.
FlagCase Sends(const std::string& flag, const std::string& member, const Json& value) {
  return {{flag}, [=](const BenchRun& run) { EXPECT_EQ(run.Sent(member), value); }};
}

}  // namespace

Json BenchRun::Sent(const std::string& name) const {
  return requests.empty() ? Json() : requests.front().body.value(name, Json());
}

BenchRun BenchFixture::Run(const std::vector<std::string>& flags, bool terminal) const {
  std::set<std::string> replaced = testing::FlagsIn(flags);
  std::vector<std::string> arguments;
  for (const std::string& flag : flags) {
    if (absl::StartsWith(flag, "--no=")) {
      replaced.insert("--" + flag.substr(5));
    } else {
      arguments.push_back(flag);
    }
  }
  for (const std::string& flag : base_) {
    if (!replaced.contains(flag.substr(0, flag.find('=')))) arguments.push_back(flag);
  }
  std::filesystem::remove_all(dir_.path("out"));
  fake_.TakeRequests();
  BenchRun run{terminal ? testing::RunCommandOnTerminal(command_, arguments)
                        : testing::RunCommand(command_, arguments),
               fake_.TakeRequests(), Json()};
  // They come in any order.
  std::sort(run.requests.begin(), run.requests.end(),
            [](const auto& a, const auto& b) { return a.body.dump() < b.body.dump(); });
  std::ifstream file(dir_.path("out/" + result_));
  if (file) run.result = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  return run;
}

void BenchFixture::Check(const std::vector<FlagCase>& cases) const {
  for (const FlagCase& one : cases) {
    SCOPED_TRACE(absl::StrJoin(one.flags, " "));
    const BenchRun run = Run(one.flags);
    EXPECT_EQ(run.exit_code, 0) << run.errors;
    one.effect(run);
  }
}

std::vector<FlagCase> CommonFlagCases(BenchFixture& fixture) {
  const std::string url = fixture.fake().url();
  const auto completes = [](const BenchRun& run) { EXPECT_GT(run.result["completed"], 0); };
  const auto chats = [](const BenchRun& run) {
    EXPECT_EQ(run.requests.at(0).path, "/v1/chat/completions");
    EXPECT_TRUE(run.Sent("messages").is_array());
  };
  return {
      {{"--backend=openai-chat"}, chats},
      {{"--endpoint-type=openai-chat"}, chats},
      {{"--base-url=" + url, "--port=1"}, completes},
      // The same address, written so that the server sees it.
      {{"--host=127.1"},
       [](const BenchRun& run) {
         EXPECT_THAT(run.requests.at(0).headers.at("host"), HasSubstr("127.1:"));
       }},
      {{"--endpoint=/v2/elsewhere"},
       [](const BenchRun& run) { EXPECT_EQ(run.requests.at(0).path, "/v2/elsewhere"); }},
      {{"--header=X-Team=one"},
       [](const BenchRun& run) { EXPECT_EQ(run.requests.at(0).headers.at("x-team"), "one"); }},
      {{"--model=named"},
       [](const BenchRun& run) {
         EXPECT_EQ(run.Sent("model"), "named");
         EXPECT_EQ(run.result["model_id"], "named");
       }},
      Sends("--served-model-name=served", "model", "served"),
      {{"--trust-remote-code"},
       [](const BenchRun& run) { EXPECT_THAT(run.errors, HasSubstr("has no effect")); }},
      Sends("--ignore-eos", "ignore_eos", true),
      Sends("--temperature=0.25", "temperature", 0.25),
      Sends("--top-p=0.5", "top_p", 0.5),
      Sends("--top-k=7", "top_k", 7),
      Sends("--min-p=0.125", "min_p", 0.125),
      Sends("--repetition-penalty=1.5", "repetition_penalty", 1.5),
      Sends("--presence-penalty=0.75", "presence_penalty", 0.75),
      Sends("--frequency-penalty=-0.5", "frequency_penalty", -0.5),
      Sends("--logprobs=2", "logprobs", 2),
      Sends(R"(--extra-body={"min_tokens": 3})", "min_tokens", 3),
      {{"--percentile-metrics=e2el"},
       [](const BenchRun& run) {
         EXPECT_TRUE(run.result.contains("p99_e2el_ms"));
         EXPECT_FALSE(run.result.contains("p99_ttft_ms"));
       }},
      {{"--metric-percentiles=25,99.5"},
       [](const BenchRun& run) {
         EXPECT_TRUE(run.result.contains("p25_ttft_ms"));
         EXPECT_TRUE(run.result.contains("p99.5_ttft_ms"));
         EXPECT_FALSE(run.result.contains("p99_ttft_ms"));
       }},
      {{"--goodput=ttft:0"},
       [](const BenchRun& run) { EXPECT_EQ(run.result["request_goodput"], 0.0); }},
      {{"--goodput=e2el:3600000"},
       [](const BenchRun& run) {
         EXPECT_EQ(run.result["request_goodput"], run.result["request_throughput"]);
       }},
      {{"--metadata=Device=VA16"},
       [](const BenchRun& run) { EXPECT_EQ(run.result["Device"], "VA16"); }},
  };
}

std::set<std::string> CheckCommonFlags(BenchFixture& fixture) {
  testing::FakeOpenAi& fake = fixture.fake();

  // The base has the right port.
  EXPECT_EQ(fixture.Run({"--port=1"}).exit_code, 1);

  const BenchRun plain = fixture.Run({"--seed=5"});
  EXPECT_EQ(fixture.Run({"--seed=5"}).Sent("prompt"), plain.Sent("prompt"));
  EXPECT_NE(fixture.Run({"--seed=6"}).Sent("prompt"), plain.Sent("prompt"));
  EXPECT_EQ(fixture.Run({"--no=skip-initial-test", "--seed=5"}).requests.size(),
            plain.requests.size() + 1);

  EXPECT_THAT(fixture.Run({"--no=tokenizer"}).errors, HasSubstr("give --tokenizer DIR"));
  EXPECT_THAT(fixture.Run({"--tokenizer=/none"}).errors, HasSubstr("/none"));

  fake.models_unavailable = 1;
  EXPECT_EQ(fixture.Run({}).exit_code, 2);  // it lists no model
  fake.models_unavailable = 1;
  EXPECT_EQ(fixture.Run({"--ready-check-timeout-sec=60"}).exit_code, 0);
  fake.models_unavailable = 0;

  const std::string bar = "requests, ";
  EXPECT_THAT(fixture.Run({}, /*terminal=*/true).errors, HasSubstr(bar));
  EXPECT_THAT(fixture.Run({"--no-progress"}, /*terminal=*/true).errors, Not(HasSubstr(bar)));
  EXPECT_THAT(fixture.Run({"--disable-tqdm"}, /*terminal=*/true).errors, Not(HasSubstr(bar)));

  testing::TestAuthority authority("authority");
  const testing::CertifiedKey issued = authority.Issue("server");
  const testing::TestDirectory& dir = fixture.dir();
  const testing::TlsFront front(dir.Write("cert.pem", issued.cert),
                                dir.Write("key.pem", issued.key), fake.port());
  const std::string url = absl::StrCat("--base-url=https://127.0.0.1:", front.port());
  EXPECT_THAT(fixture.Run({url}).errors, AllOf(HasSubstr("--ca-file"), HasSubstr("--insecure")));
  EXPECT_EQ(fixture.Run({url, "--ca-file=" + dir.Write("ca.pem", authority.cert())}).exit_code, 0);
  EXPECT_EQ(fixture.Run({url, "--insecure"}).exit_code, 0);

  return {"--port",      "--seed",        "--skip-initial-test",
          "--tokenizer", "--no-progress", "--disable-tqdm",
          "--insecure",  "--ca-file",     "--ready-check-timeout-sec"};
}

std::set<std::string> FlagsOfCases(const std::vector<FlagCase>& cases) {
  std::set<std::string> flags;
  for (const FlagCase& one : cases) flags.merge(testing::FlagsIn(one.flags));
  return flags;
}

}  // namespace vallm::tools
