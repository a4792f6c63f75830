// The cache changes nothing but the time: every prompt gets the ids that Tokenizer::Encode gives
// it, whatever was encoded before and however little the cache may hold.
#include "tokenizer_service/prompt_encoder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::tokenizer {
namespace {

using vallm::testing::StatusIs;

const char kDemoModel[] = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";

// The demo model's tokenizer with further added tokens that use every flag there is.
std::unique_ptr<const Tokenizer> TokenizerWithFlags() {
  std::ifstream file(std::string(kDemoModel) + "/tokenizer.json", std::ios::binary);
  auto spec = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(spec.is_object());
  int id = 0;
  for (const auto& token : spec["added_tokens"]) id = std::max(id, token["id"].get<int>());
  for (const auto& entry : spec["model"]["vocab"]) id = std::max(id, entry.get<int>());
  const auto add = [&](const std::string& content, const char* flag) {
    nlohmann::json token = {{"id", ++id}, {"content", content}, {"special", false}};
    for (const char* name : {"lstrip", "rstrip", "single_word", "normalized"}) {
      token[name] = std::string(name) == flag;
    }
    spec["added_tokens"].push_back(token);
  };
  add("<left>", "lstrip");
  add("<right>", "rstrip");
  add("wordle", "single_word");
  add("xcaf\u00e9x", "normalized");
  auto tokenizer = Tokenizer::FromJson(spec.dump());
  EXPECT_OK(tokenizer);
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

class Prompts {
 public:
  explicit Prompts(uint32_t seed) : rng_(seed) {}

  std::string Next() {
    // Long stretches come from a small set, so that they repeat between prompts.
    static const std::string kParts[] = {
        "<|im_start|>",
        "<|im_end|>",
        "\n",
        "user\n",
        "<think>",
        "</think>",
        "<left>",
        "<right>",
        "  ",
        "wordle",
        "wordles",
        "cafe\u0301",
        "e",
        "\u0301",
        "<tool_call>",
        "<|im_",
        "start|>",
        "\u3000\n",
        "日本語",
        "A sentence that is long enough to be kept, number one.",
        "xcafe\u0301x au lait, and a good deal more of it: wordle",
        "  \u0301 a stretch that begins with a combining mark and is kept too ",
        " int main() { return 0; }  // 12345678901234567890\n\n\n  "};
    std::string text;
    const size_t count = rng_() % 30;
    for (size_t i = 0; i < count; ++i) text += kParts[rng_() % std::size(kParts)];
    return text;
  }

 private:
  std::mt19937 rng_;
};

TEST(PromptEncoderTest, GivesTheTokenizersIdsWhateverTheCacheHolds) {
  const auto tokenizer = TokenizerWithFlags();
  ASSERT_NE(tokenizer, nullptr);
  for (const size_t capacity : {0, 400, 1'500, 100'000}) {
    SCOPED_TRACE(capacity);
    PromptEncoder encoder(*tokenizer, capacity);
    Prompts prompts(/*seed=*/20251124);
    for (int i = 0; i < 3'000; ++i) {
      const std::string text = prompts.Next();
      const auto expected = tokenizer->Encode(text);
      const auto actual = encoder.Encode(text);
      ASSERT_OK(actual);
      ASSERT_EQ(*actual, *expected) << text;
    }
    EXPECT_LE(encoder.cache_stats().bytes, capacity);
    EXPECT_EQ(encoder.cache_stats().hits > 0, capacity > 0);
  }
}

TEST(PromptEncoderTest, SegmentsAreWhatEncodeSees) {
  const auto tokenizer = TokenizerWithFlags();
  ASSERT_NE(tokenizer, nullptr);
  Prompts prompts(/*seed=*/7);
  for (int i = 0; i < 3'000; ++i) {
    const std::string text = prompts.Next();
    std::vector<int32_t> ids;
    const auto segments = tokenizer->Split(text);
    ASSERT_OK(segments);
    for (const Tokenizer::Segment& segment : *segments) {
      ASSERT_EQ(segment.text.empty(), segment.added_token >= 0);
      const auto made = tokenizer->Encode(segment.text, {.is_segment = true});
      ids.insert(ids.end(), made->begin(), made->end());
      if (segment.added_token >= 0) ids.push_back(segment.added_token);
    }
    ASSERT_EQ(ids, *tokenizer->Encode(text)) << text;
  }
}

TEST(PromptEncoderTest, TheNextTurnFindsTheTurnsBefore) {
  const auto tokenizer = TokenizerWithFlags();
  ASSERT_NE(tokenizer, nullptr);
  PromptEncoder encoder(*tokenizer, 1 << 20);
  std::string prompt;
  for (int turn = 0; turn < 10; ++turn) {
    prompt += "<|im_start|>user\nquestion number " + std::to_string(turn) +
              " in some more words than the cache leaves out<|im_end|>\n";
    const int64_t misses = encoder.cache_stats().misses;
    ASSERT_OK(encoder.Encode(prompt));
    EXPECT_EQ(encoder.cache_stats().misses, misses + 1);
    EXPECT_EQ(encoder.cache_stats().hits, turn * (turn + 1) / 2);
  }
}

TEST(PromptEncoderTest, ThreadsShareOneCache) {
  const auto tokenizer = TokenizerWithFlags();
  ASSERT_NE(tokenizer, nullptr);
  PromptEncoder encoder(*tokenizer, 1'500);
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Prompts prompts(t);
      for (int i = 0; i < 300; ++i) {
        const std::string text = prompts.Next();
        ASSERT_EQ(*encoder.Encode(text), *tokenizer->Encode(text));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(PromptEncoderTest, RefusesInvalidTextByItsOffset) {
  const auto tokenizer = TokenizerWithFlags();
  ASSERT_NE(tokenizer, nullptr);
  for (const size_t capacity : {0, 10'000}) {
    PromptEncoder encoder(*tokenizer, capacity);
    EXPECT_THAT(encoder.Encode("<|im_end|>abc\xff"),
                StatusIs(absl::StatusCode::kInvalidArgument, "byte offset 13"));
  }
}

}  // namespace
}  // namespace vallm::tokenizer
