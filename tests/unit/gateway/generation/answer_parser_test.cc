#include "gateway/generation/answer_parser.h"

#include "absl/strings/str_cat.h"
#include "gateway/openai/token_texts.h"
#include "gmock/gmock.h"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using Kind = GenerationEvent::Kind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::StatusIs;

constexpr int32_t kThink = 256;
constexpr int32_t kThinkEnd = 257;
constexpr int32_t kToolCall = 258;
constexpr int32_t kToolCallEnd = 259;
constexpr int32_t kEos = 260;

std::shared_ptr<const TokenTexts> Texts() {
  std::vector<std::string> bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.emplace_back(1, static_cast<char>(byte));
  for (const char* tag : {"<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_end|>"}) {
    bytes.emplace_back(tag);
  }
  return std::make_shared<const TokenTexts>(std::move(bytes), std::vector<int32_t>{kEos});
}

std::vector<int32_t> Ids(std::string_view text) {
  std::vector<int32_t> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

std::vector<int32_t> Concat(std::initializer_list<std::vector<int32_t>> parts) {
  std::vector<int32_t> ids;
  for (const auto& part : parts) ids.insert(ids.end(), part.begin(), part.end());
  return ids;
}

struct Parsed {
  std::string reasoning, content, calls;
  std::vector<int32_t> logprob_ids;
  std::vector<int32_t> token_ids;
  std::vector<bool> shows;
  GenerationEvent finish;
  int64_t parsed_count = 0;
};

class AnswerParserTest : public ::testing::Test {
 protected:
  AnswerParserTest() {
    options_.reasoning_parser = "qwen3";
    options_.tool_parser = "hermes";
    options_.tools_enabled = true;
    options_.prompt_think_state = tokenizer::PromptThinkState::kUnaware;
  }

  // The answer of an engine that gives the ids in chunks of a size.
  Parsed Parse(const std::vector<int32_t>& ids, size_t chunk_size) {
    v1::GenerateRequest request;
    request.mutable_prompt_token_ids()->add_ids(1);
    EngineOutput engine(request);
    auto parser = *AnswerParser::Create(/*choice=*/3, Texts(), options_, /*with_ids=*/true);
    Parsed parsed;
    for (size_t begin = 0; begin < ids.size(); begin += chunk_size) {
      v1::GenerateChunk chunk;
      for (size_t i = begin; i < std::min(begin + chunk_size, ids.size()); ++i) {
        chunk.add_token_ids(ids[i]);
        chunk.add_logprobs()->set_rank(static_cast<int32_t>(i));
      }
      if (begin + chunk_size >= ids.size()) {
        chunk.set_finish_reason(v1::FINISH_REASON_LENGTH);
        chunk.mutable_usage()->set_cached_token_count(1);
      }
      engine.Add(chunk);
      std::vector<GenerationEvent> events;
      EXPECT_OK(parser->Parse(engine, &events));
      for (GenerationEvent& event : events) Fold(std::move(event), &parsed);
    }
    EXPECT_TRUE(parser->finished());
    parsed.parsed_count = parser->parsed_count();
    return parsed;
  }

  static void Fold(GenerationEvent event, Parsed* parsed) {
    EXPECT_EQ(event.choice, 3);
    parsed->token_ids.insert(parsed->token_ids.end(), event.token_ids.begin(),
                             event.token_ids.end());
    for (const TokenLogprobs& logprobs : event.logprobs) {
      parsed->logprob_ids.push_back(logprobs.token_id);
      parsed->shows.push_back(logprobs.shows);
    }
    switch (event.kind) {
      case Kind::kReasoning:
        parsed->reasoning += event.text;
        break;
      case Kind::kContent:
        parsed->content += event.text;
        break;
      case Kind::kToolCallStart:
        absl::StrAppend(&parsed->calls, event.tool_index, event.text);
        break;
      case Kind::kToolCallArguments:
        parsed->calls += event.text;
        break;
      case Kind::kFinish:
        parsed->finish = std::move(event);
    }
  }

  tokenizer::OutputOptions options_;
};

TEST_F(AnswerParserTest, EventsAndLogprobsDoNotDependOnTheChunks) {
  const std::vector<int32_t> ids = Concat({{kThink},
                                           Ids("h\xc3\xa4"),
                                           {kThinkEnd},
                                           Ids("yes"),
                                           {kToolCall},
                                           Ids(R"({"name": "f", "arguments": {"a":1}})"),
                                           {kToolCallEnd},
                                           {kEos}});
  for (const size_t chunk : {1u, 2u, 7u, 100u}) {
    const Parsed parsed = Parse(ids, chunk);
    EXPECT_EQ(parsed.reasoning, "h\xc3\xa4");
    EXPECT_EQ(parsed.content, "yes");
    EXPECT_EQ(parsed.calls, "0f{\"a\":1}");
    EXPECT_EQ(parsed.logprob_ids, ids) << "every token once and in order";
    EXPECT_EQ(parsed.token_ids, ids);
    EXPECT_THAT(std::vector<bool>(parsed.shows.begin(), parsed.shows.begin() + 9),
                ElementsAre(false, true, true, true, false, true, true, true, false));
    EXPECT_EQ(parsed.finish.text, "tool_calls");
    EXPECT_EQ(parsed.finish.usage.completion_tokens, static_cast<int64_t>(ids.size()));
    EXPECT_EQ(parsed.finish.usage.reasoning_tokens, 5);
    EXPECT_EQ(parsed.finish.usage.cached_tokens, 1);
    EXPECT_EQ(parsed.finish.usage.prompt_tokens, 1);
  }
}

TEST_F(AnswerParserTest, TokensAreCountedUpToTheStopString) {
  options_.stop = {"STOP"};
  for (const size_t chunk : {1u, 3u, 100u}) {
    const Parsed parsed = Parse(Ids("ab STOP cdef"), chunk);
    EXPECT_EQ(parsed.content, "ab ");
    EXPECT_EQ(parsed.parsed_count, 7) << chunk;
    EXPECT_EQ(parsed.finish.usage.completion_tokens, 7);
    EXPECT_EQ(parsed.finish.text, "stop");
    EXPECT_EQ(std::get<std::string>(parsed.finish.stop_reason), "STOP");
    EXPECT_EQ(parsed.logprob_ids, Ids("ab STOP"));
  }
}

TEST_F(AnswerParserTest, WhatIsHeldBackIsBounded) {
  v1::GenerateRequest request;
  request.mutable_prompt_token_ids()->add_ids(1);
  EngineOutput engine(request);
  auto parser = *AnswerParser::Create(0, Texts(), options_);
  v1::GenerateChunk chunk;
  for (const int32_t id : Concat({{kToolCall}, Ids("{\"")})) chunk.add_token_ids(id);
  for (int i = 0; i < (5 << 20); ++i) chunk.add_token_ids('x');
  engine.Add(chunk);
  std::vector<GenerationEvent> events;
  EXPECT_THAT(parser->Parse(engine, &events),
              StatusIs(absl::StatusCode::kResourceExhausted, "wait for the end of a tool call"));
}

TEST_F(AnswerParserTest, RefusesWhatCannotBeParsedFor) {
  options_.stop = {""};
  EXPECT_THAT(AnswerParser::Create(0, Texts(), options_).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "stop"));
}

TEST(TokenTextsTest, FindsIdsByTheirBytes) {
  const auto texts = Texts();
  EXPECT_EQ(texts->TokenId("</think>"), kThinkEnd);
  EXPECT_EQ(texts->TokenId("a"), 'a');
  EXPECT_EQ(texts->TokenId("ab"), std::nullopt);
  EXPECT_EQ(texts->TokenId(""), std::nullopt);
  EXPECT_TRUE(texts->IsSpecial(kEos));
  EXPECT_FALSE(texts->IsSpecial(kThink));
  EXPECT_EQ(texts->TokenBytes(kToolCall), "<tool_call>");
  EXPECT_THAT(texts->TokenBytes(-1), IsEmpty());
  EXPECT_THAT(texts->TokenBytes(1000), IsEmpty());
}

}  // namespace
}  // namespace vallm::gateway
