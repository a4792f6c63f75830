// The chat template engine against tests/data/conformance: every row of chat_cases.jsonl (text),
// continue_final_message.jsonl and jinja_cases.jsonl. One test per file reports every failing row.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "tests/testing/jsonl.h"
#include "tokenizer_service/template/chat_template.h"
#include "tokenizer_service/template/render_template.h"

namespace vallm::tokenizer {
namespace {

using nlohmann::ordered_json;

const char kData[] = VALLM_TEST_DATA "/conformance/";

absl::Time ReferenceTime() {
  return absl::FromCivil(absl::CivilSecond(2025, 9, 14, 12, 34, 56), absl::UTCTimeZone());
}

std::string TemplateText(const std::string& name) {
  std::ifstream file(kData + ("templates/" + name), std::ios::binary);
  EXPECT_TRUE(file) << name;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Raw lines, so that numbers reach the engine as they are spelled: nlohmann would round integers
// beyond 64 bits. Splits a row into the text of its top-level members.
std::string MemberText(const std::string& line, const std::string& name) {
  const std::string key = "\"" + name + "\":";
  size_t at = 1;  // behind the opening brace
  int depth = 0;
  for (; at < line.size(); ++at) {
    if (depth == 0 && line.compare(at, key.size(), key) == 0) break;
    if (line[at] == '"') {
      for (++at; line[at] != '"'; ++at) at += line[at] == '\\' ? 1 : 0;
    } else if (line[at] == '{' || line[at] == '[') {
      ++depth;
    } else if (line[at] == '}' || line[at] == ']') {
      --depth;
    }
  }
  if (at >= line.size()) return "";
  const size_t begin = at + key.size();
  size_t end = begin;
  for (depth = 0; end < line.size(); ++end) {
    if (line[end] == '"') {
      for (++end; line[end] != '"'; ++end) end += line[end] == '\\' ? 1 : 0;
    } else if (line[end] == '{' || line[end] == '[') {
      ++depth;
    } else if (line[end] == '}' || line[end] == ']') {
      if (depth-- == 0) break;
    } else if (line[end] == ',' && depth == 0) {
      break;
    }
  }
  return line.substr(begin, end - begin);
}

std::vector<std::string> Lines(const std::string& file_name) {
  std::ifstream file(kData + file_name, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line, '\n');) {
    if (!line.empty()) lines.push_back(line);
  }
  EXPECT_FALSE(lines.empty()) << file_name;
  return lines;
}

bool Flag(const ordered_json& row, const char* name) {
  return row.contains(name) && row[name].is_boolean() && row[name].get<bool>();
}

void ExpectRow(const ordered_json& row, const absl::StatusOr<std::string>& got) {
  const bool wants_error = row.contains("expected_error") && !row["expected_error"].is_null();
  if (wants_error) {
    if (!Flag(row, "soft")) {
      EXPECT_FALSE(got.ok()) << row["id"] << "\nrendered: " << got.value_or("");
    }
    return;
  }
  ASSERT_TRUE(got.ok()) << row["id"] << "\n" << got.status();
  EXPECT_EQ(*got, row["expected"].get<std::string>()) << row["id"];
}

class ChatCases : public ::testing::Test {
 protected:
  absl::StatusOr<std::string> Render(const std::string& line, const ordered_json& row, bool raw) {
    const std::string name = row["template"].get<std::string>();
    std::unique_ptr<const ChatTemplate>& chat = templates_[name];
    if (chat == nullptr) {
      auto parsed = ChatTemplate::Parse(TemplateText(name));
      if (!parsed.ok()) return parsed.status();
      chat = *std::move(parsed);
    }
    ChatTemplate::RenderInput input;
    input.messages_json = MemberText(line, "messages");
    input.tools_json = MemberText(line, "tools");
    input.kwargs_json = MemberText(line, "kwargs");
    input.add_generation_prompt = false;
    input.special_tokens = {{"eos_token", "<|im_end|>"}, {"pad_token", "<|endoftext|>"}};
    input.now = ReferenceTime();
    input.raw_messages = raw;
    return chat->Render(input);
  }

  std::map<std::string, std::unique_ptr<const ChatTemplate>> templates_;
};

TEST_F(ChatCases, EveryRowRendersAsTheReference) {
  for (const std::string& line : Lines("chat_cases.jsonl")) {
    const auto row = ordered_json::parse(line);
    ExpectRow(row, Render(line, row, /*raw=*/true));
  }
}

// What a service adds before rendering must not change rows that need no normalising.
TEST_F(ChatCases, NormalisingKeepsWellFormedMessages) {
  for (const std::string& line : Lines("chat_cases.jsonl")) {
    const auto row = ordered_json::parse(line);
    if (!Flag(row, "raw")) ExpectRow(row, Render(line, row, /*raw=*/false));
  }
}

TEST_F(ChatCases, ContinuedMessagesEndWithTheirOwnText) {
  for (const std::string& line : Lines("continue_final_message.jsonl")) {
    const auto row = ordered_json::parse(line);
    ExpectRow(row, Render(line, row, /*raw=*/false));
  }
}

TEST(JinjaCases, EveryRowRendersAsTheReference) {
  for (const std::string& line : Lines("jinja_cases.jsonl")) {
    const auto row = ordered_json::parse(line);
    ExpectRow(row, RenderTemplate(row["template"].get<std::string>(), MemberText(line, "context"),
                                  ReferenceTime()));
  }
}

}  // namespace
}  // namespace vallm::tokenizer
