#include "engine_service/thinking/thought_tokens.h"

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;

constexpr char kDemoModel[] = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";

class ThoughtTokensTest : public ::testing::Test {
 protected:
  ThoughtTokensTest()
      : tokenizer_(tokenizer::Tokenizer::FromModelDir(kDemoModel).value()),
        tokens_(ThoughtTokens::FromTokenizer(*tokenizer_, 6400).value()) {}

  ThoughtPhase Behind(std::string_view prompt) const {
    return tokens_.PhaseBehind(tokenizer_->Encode(prompt).value());
  }

  const std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  const ThoughtTokens tokens_;
};

TEST_F(ThoughtTokensTest, TheClosingIdsSpellTheSentence) {
  std::string text;
  for (const int32_t id : tokens_.closing_ids) text += tokenizer_->TokenBytes(id);
  EXPECT_EQ(text,
            "\n\nConsidering the limited time by the user, I have to give the solution based on "
            "the thinking directly now.\n</think>\n\n");
  EXPECT_EQ(tokens_.closing_ids[tokens_.close_index], tokens_.close);
  EXPECT_EQ(tokens_.close_index, tokens_.closing_ids.size() - 2);
  EXPECT_EQ(tokens_.open, 6294);
  EXPECT_EQ(tokens_.close, 6295);
  EXPECT_THAT(tokens_.whitespace_ids, ::testing::Contains(*tokenizer_->TokenId("\n\n")));
  EXPECT_THAT(tokens_.whitespace_ids, ::testing::Not(::testing::Contains(tokens_.open)));
}

TEST_F(ThoughtTokensTest, ThePromptSaysWhereTheOutputBegins) {
  EXPECT_EQ(Behind("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"),
            ThoughtPhase::kMaybeThinking);
  EXPECT_EQ(Behind("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n"),
            ThoughtPhase::kThinking);
  EXPECT_EQ(Behind("<|im_start|>assistant\n<think>\nso far"), ThoughtPhase::kThinking);
  EXPECT_EQ(Behind("<|im_start|>assistant\n<think>\n\n</think>\n\n"), ThoughtPhase::kAnswer);
  // An earlier turn's thought does not count; without turns the whole prompt does.
  EXPECT_EQ(Behind("<think>a</think>b<|im_end|>\n<|im_start|>assistant\n"),
            ThoughtPhase::kMaybeThinking);
  EXPECT_EQ(Behind("<think>\nOnce upon a time"), ThoughtPhase::kThinking);
  EXPECT_EQ(Behind("Once upon a time"), ThoughtPhase::kMaybeThinking);
}

TEST_F(ThoughtTokensTest, RefusesAModelWithoutThoughts) {
  EXPECT_THAT(ThoughtTokens::FromTokenizer(*tokenizer_, 6295),
              StatusIs(absl::StatusCode::kInvalidArgument, "beyond the 6295 ids"));
  const std::filesystem::path dir = ::testing::TempDir() + "/no_thoughts";
  std::filesystem::create_directories(dir);
  std::ifstream file(VALLM_TEST_DATA "/golden_models/qwen3-dense-bf16/tokenizer.json");
  auto json = nlohmann::ordered_json::parse(file);
  auto& added = json["added_tokens"];
  std::erase_if(added.get_ref<nlohmann::ordered_json::array_t&>(), [](const auto& token) {
    return token["content"].template get<std::string>().ends_with("think>");
  });
  std::ofstream(dir / "tokenizer.json") << json;
  ThoughtTokensLoader thoughtless(dir, 512);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(thoughtless.Get(), StatusIs(absl::StatusCode::kInvalidArgument,
                                            "the model has no tokens <think> and </think>"));
  }
  std::filesystem::remove_all(dir);
  ThoughtTokensLoader none(VALLM_SOURCE_DIR "/tests/unit", 6400);
  EXPECT_THAT(none.Get(), StatusIs(absl::StatusCode::kInvalidArgument, "tokenizer.json"));
}

TEST_F(ThoughtTokensTest, TheLoaderReadsThemOnce) {
  ThoughtTokensLoader loader(kDemoModel, 6400);
  const auto first = loader.Get();
  ASSERT_OK(first);
  EXPECT_EQ((*first)->closing_ids, tokens_.closing_ids);
  EXPECT_EQ(loader.Get().value().get(), first->get());
}

}  // namespace
}  // namespace vallm::engine
