#include "tools/bench/answer_stream.h"

#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kCompletion =
    ": ping\n\n"
    "data: {\"choices\":[{\"index\":0,\"text\":\"Gr\\u00fc\"}],\"usage\":null}\n\n"
    "data: {\"choices\":[{\"index\":0,\"text\":\"\xC3\x9F\xE4\xBD\xA0 a b\"}]}\r\n\r\n"
    "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n"
    "data: [DONE]\n\n";

TEST(AnswerStreamTest, SaysTheSameHoweverTheBytesAreCut) {
  for (size_t cut = 0; cut <= kCompletion.size(); ++cut) {
    AnswerStream stream;
    stream.Feed(kCompletion.substr(0, cut), 1);
    stream.Feed(kCompletion.substr(cut), 1);
    ASSERT_EQ(stream.text(), "Gr\xC3\xBC\xC3\x9F\xE4\xBD\xA0 a b") << cut;
    EXPECT_EQ(stream.chunks(), 3);
    EXPECT_EQ(stream.completion_tokens(), 5);
    EXPECT_EQ(stream.prompt_tokens(), 7);
    EXPECT_EQ(stream.error(), "");
  }
}

TEST(AnswerStreamTest, AChunkOfSeveralTokensIsOneGap) {
  AnswerStream stream;
  stream.Feed("data: {\"choices\":[{\"text\":\"a\"}]}\n\n", 1.0);
  stream.Feed("data: {\"choices\":[{\"text\":\" b c d\"}]}\n\n", 1.5);
  stream.Feed("data: {\"choices\":[{\"text\":\" e\"}]}\n\n", 2.5);
  stream.Feed("data: {\"choices\":[],\"usage\":{\"completion_tokens\":5}}\n\n", 9);
  EXPECT_EQ(stream.first_chunk_s(), 1.0);
  EXPECT_EQ(stream.last_chunk_s(), 2.5);
  EXPECT_THAT(stream.gaps_s(), ElementsAre(0.5, 1.0));
  EXPECT_EQ(stream.completion_tokens(), 5);
}

TEST(AnswerStreamTest, CountsAChatsThoughtsOnce) {
  AnswerStream stream;
  stream.Feed(
      "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
      "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\",\"reasoning\":\"hm\"}}]}\n\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"yes\"}}]}\n\n",
      1);
  EXPECT_EQ(stream.text(), "hmyes");
  EXPECT_EQ(stream.chunks(), 3);
  EXPECT_EQ(stream.completion_tokens(), -1);
}

TEST(AnswerStreamTest, NamesErrors) {
  AnswerStream stream;
  stream.Feed(
      "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"error\":{\"message\":\"gone\"}}\n\n", 1);
  EXPECT_EQ(stream.error(), "gone");
  AnswerStream garbage;
  garbage.Feed("data: <html>\n\n", 1);
  EXPECT_THAT(garbage.error(), HasSubstr("<html>"));
  EXPECT_EQ(ErrorMessage("{\"detail\":\"x\"}"), "{\"detail\":\"x\"}");
  EXPECT_EQ(ErrorMessage("{\"error\":\"flat\"}"), "flat");
  EXPECT_EQ(ErrorMessage("{\"message\":\"old vLLM\"}"), "old vLLM");
  EXPECT_EQ(ErrorMessage("two\nlines"), "two lines");
}

}  // namespace
}  // namespace vallm::tools
