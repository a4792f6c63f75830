#include "tools/serve/options.h"

#include <optional>
#include <string>
#include <vector>

#include "common/flags.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::tools {
namespace {

using testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// Fills `options`; returns what FlagParser::Parse does.
std::optional<int> ParseInto(ServeOptions& options, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "vallm serve");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  FlagParser flags("vallm serve", "");
  AddServeFlags(flags.app(), options);
  return flags.Parse(static_cast<int>(argv.size()), argv.data());
}

// What the flags make of a command line; fails the test when they refuse it.
ServeOptions Parse(const std::vector<std::string>& arguments) {
  ServeOptions options;
  EXPECT_EQ(ParseInto(options, arguments), std::nullopt);
  return options;
}

absl::Status Finish(const std::vector<std::string>& arguments) {
  ServeOptions options = Parse(arguments);
  return FinishServeOptions(options);
}

TEST(ServeOptions, NamesTheModelAfterItsDirectory) {
  for (const char* dir : {"/models/Qwen3-8B", "/models/Qwen3-8B/", "/models/x/../Qwen3-8B"}) {
    ServeOptions options = Parse({dir});
    ASSERT_OK(FinishServeOptions(options));
    EXPECT_EQ(options.served_model_names, std::vector<std::string>{"Qwen3-8B"}) << dir;
  }
}

TEST(ServeOptions, TakesTheModelAfterARepeatedFlag) {
  const ServeOptions options =
      Parse({"--served-model-name", "a", "--served-model-name", "b", "--api-key", "k,l", "model"});
  EXPECT_EQ(options.engine.model_dir, "model");
  EXPECT_EQ(options.served_model_names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(options.api_keys, (std::vector<std::string>{"k", "l"}));
}

TEST(ServeOptions, SwitchesReasoningAndToolsOff) {
  EXPECT_TRUE(Parse({"m"}).enable_reasoning);
  EXPECT_FALSE(Parse({"m", "--no-enable-reasoning"}).enable_reasoning);
  EXPECT_TRUE(Parse({"m", "--enable-auto-tool-choice"}).enable_auto_tool_choice);
  EXPECT_FALSE(Parse({"m", "--no-enable-auto-tool-choice"}).enable_auto_tool_choice);
}

TEST(ServeOptions, RefusesWhatCannotWork) {
  EXPECT_THAT(Finish({"m", "--api-key", ""}), StatusIs(kInvalid, "--api-key"));
  EXPECT_THAT(Finish({"m", "--api-key", "[k]"}), StatusIs(kInvalid, "--api-key"));
  EXPECT_THAT(Finish({"m", "--default-chat-template-kwargs", "{"}),
              StatusIs(kInvalid, "must be a JSON object"));
  EXPECT_THAT(Finish({"m", "--admin-api-key", "[k]"}), StatusIs(kInvalid, "--admin-api-key"));
  for (const char* name : {"messages", "tools"}) {
    EXPECT_THAT(
        Finish({"m", "--default-chat-template-kwargs", std::string("{\"") + name + "\": 1}"}),
        StatusIs(kInvalid, name));
  }
}

TEST(ServeOptions, RefusesValuesThatAServiceWouldRefuse) {
  for (const char* argument :
       {"--tool-call-parser=x", "--tool-call-parser=", "--reasoning-parser=x", "--step-timeout=nan",
        "--drain-timeout=nan", "--drain-timeout=inf"}) {
    ServeOptions options;
    EXPECT_EQ(ParseInto(options, {"m", argument}), 2) << argument;
  }
}

}  // namespace
}  // namespace vallm::tools
