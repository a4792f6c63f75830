#include "tokenizer_service/output/detokenizer.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::tokenizer {
namespace {

using ::testing::ElementsAre;
using testing::IsOk;

const char kDemoModel[] = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";

TEST(Utf8Assembler, ReleasesACharacterWithItsLastByte) {
  Utf8Assembler assembler;
  std::vector<std::string> pieces;
  for (const char byte : std::string("a\xE2\x82\xAC\xF0\x9F\x98\x80")) {
    assembler.Append(std::string_view(&byte, 1), &pieces.emplace_back());
  }
  EXPECT_THAT(pieces, ElementsAre("a", "", "", "€", "", "", "", "😀"));
}

TEST(Utf8Assembler, ReplacesBytesOnceTheyCanNotBecomeValid) {
  Utf8Assembler assembler;
  std::string text;
  assembler.Append("\xE2\x82", &text);
  EXPECT_EQ(text, "");
  assembler.Append("x", &text);
  EXPECT_EQ(text, "\uFFFDx");
  assembler.Append("\xFF", &text);
  EXPECT_EQ(text, "\uFFFDx\uFFFD");
}

TEST(Utf8Assembler, FlushReplacesAnUnfinishedCharacterOnce) {
  Utf8Assembler assembler;
  std::string text;
  assembler.Append("\xF0\x9F\x98", &text);
  assembler.Flush(&text);
  EXPECT_EQ(text, "\uFFFD");
  assembler.Append("\x80", &text);
  EXPECT_EQ(text, "\uFFFD\uFFFD") << "the byte after a flush begins anew";
}

class DetokenizerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto loaded = Tokenizer::FromModelDir(kDemoModel);
    ASSERT_OK(loaded);
    tokenizer_ = *std::move(loaded);
  }
  std::vector<int32_t> Ids(std::string_view text) { return *tokenizer_->Encode(text); }
  int32_t Id(std::string_view token) { return *tokenizer_->TokenId(token); }

  std::unique_ptr<const Tokenizer> tokenizer_;
};

TEST_F(DetokenizerTest, SkipsSpecialTokensOnRequest) {
  const std::vector<int32_t> ids = Ids("<|im_start|>a<think>b<|im_end|>");
  EXPECT_EQ(Decode(*tokenizer_, ids, /*skip_special_tokens=*/false),
            "<|im_start|>a<think>b<|im_end|>");
  EXPECT_EQ(Decode(*tokenizer_, ids, /*skip_special_tokens=*/true), "a<think>b");
}

TEST_F(DetokenizerTest, KeepsSpecialTokensThatAParserNeeds) {
  Detokenizer detokenizer(*tokenizer_,
                          {.skip_special_tokens = true, .kept_ids = {Id("<|im_end|>")}});
  std::string text;
  detokenizer.Append(Id("<|im_start|>"), &text);
  detokenizer.Append(Id("<|im_end|>"), &text);
  EXPECT_EQ(text, "<|im_end|>");
}

TEST_F(DetokenizerTest, IdsWithoutTextDoNotInterruptACharacter) {
  // The demo vocabulary has single bytes for what it does not know.
  const std::vector<int32_t> bytes = Ids("𐌾");
  ASSERT_GT(bytes.size(), 1u);
  Detokenizer detokenizer(*tokenizer_, {.skip_special_tokens = true, .kept_ids = {}});
  std::string text;
  for (const int32_t id : bytes) {
    detokenizer.Append(Id("<|im_end|>"), &text);
    detokenizer.Append(tokenizer_->vocab_size() + 7, &text);
    detokenizer.Append(-1, &text);
    detokenizer.Append(id, &text);
  }
  EXPECT_EQ(text, "𐌾");
}

}  // namespace
}  // namespace vallm::tokenizer
