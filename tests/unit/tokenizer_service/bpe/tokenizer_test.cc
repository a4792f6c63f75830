#include "tokenizer_service/bpe/tokenizer.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/jsonl.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/nfc.h"
#include "tokenizer_service/bpe/pretokenizer.h"

namespace vallm::tokenizer {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using testing::IsOk;
using ::testing::Optional;
using testing::StatusIs;

const char kDemoModel[] = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";

// The byte-level spelling of a byte.
std::string Spelling(int byte) {
  static const std::vector<std::string> spellings = [] {
    std::vector<std::string> all;
    int next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      const int c = itself ? b : next++;
      all.push_back(c < 0x80 ? std::string(1, static_cast<char>(c))
                             : std::string{static_cast<char>(0xC0 | (c >> 6)),
                                           static_cast<char>(0x80 | (c & 0x3F))});
    }
    return all;
  }();
  return spellings[static_cast<size_t>(byte)];
}

// A tokenizer.json whose ids 0..255 are the bytes.
json ByteTokenizer() {
  json vocab = json::object();
  for (int byte = 0; byte < 256; ++byte) vocab[Spelling(byte)] = byte;
  return {
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", json::array()},
      {"normalizer", {{"type", "NFC"}}},
      {"pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"},
           {"pattern", {{"Regex", std::string(kQwenSplitPattern)}}},
           {"behavior", "Isolated"},
           {"invert", false}},
          {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}}},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", json::array()}}},
  };
}

void AddToken(json* spec, int id, const std::string& content, const json& flags = {}) {
  json token = {{"id", id}, {"content", content}};
  if (flags.is_object()) token.update(flags);
  (*spec)["added_tokens"].push_back(token);
}

std::unique_ptr<const Tokenizer> Load(const json& spec) {
  auto tokenizer = Tokenizer::FromJson(spec.dump());
  EXPECT_OK(tokenizer);
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

std::vector<int32_t> Encode(const Tokenizer& tokenizer, const std::string& text) {
  auto ids = tokenizer.Encode(text);
  EXPECT_OK(ids);
  return ids.value_or(std::vector<int32_t>{});
}

TEST(Tokenizer, MergesComeInBothSpellings) {
  for (const char* merges : {R"([["a", "b"], ["ab", "c"]])", R"(["a b", "ab c"])"}) {
    json spec = ByteTokenizer();
    spec["model"]["vocab"]["ab"] = 256;
    spec["model"]["vocab"]["abc"] = 257;
    spec["model"]["merges"] = json::parse(merges);
    EXPECT_THAT(Encode(*Load(spec), "abcab"), ElementsAre(257, 256));
  }
}

TEST(Tokenizer, AnEntryThatMergesDoNotReachNeedsIgnoreMerges) {
  json spec = ByteTokenizer();
  spec["model"]["vocab"]["abc"] = 256;
  EXPECT_THAT(Encode(*Load(spec), "abc"), ElementsAre('a', 'b', 'c'));
  spec["model"]["ignore_merges"] = true;
  EXPECT_THAT(Encode(*Load(spec), "abc"), ElementsAre(256));
}

TEST(Tokenizer, NormalizerIsAppliedBetweenAddedTokensOnly) {
  json spec = ByteTokenizer();
  AddToken(&spec, 256, "<e>");
  EXPECT_THAT(Encode(*Load(spec), "e\u0301"), ElementsAre(0xC3, 0xA9));
  EXPECT_THAT(Encode(*Load(spec), "<e>\u0301"), ElementsAre(256, 0xCC, 0x81));
  spec["normalizer"] = nullptr;
  EXPECT_THAT(Encode(*Load(spec), "e\u0301"), ElementsAre('e', 0xCC, 0x81));
}

TEST(Tokenizer, TheLeftmostThenLongestAddedTokenWins) {
  json spec = ByteTokenizer();
  AddToken(&spec, 256, "<a>");
  AddToken(&spec, 257, "<a><b>");
  AddToken(&spec, 258, "b><");
  EXPECT_THAT(Encode(*Load(spec), "<a><b><a>x"), ElementsAre(257, 256, 'x'));
  EXPECT_THAT(Encode(*Load(spec), "b><a>"), ElementsAre(258, 'a', '>'));
}

TEST(Tokenizer, StripFlagsTakeWhiteSpaceAlong) {
  json spec = ByteTokenizer();
  AddToken(&spec, 256, "<l>", {{"lstrip", true}});
  AddToken(&spec, 257, "<r>", {{"rstrip", true}});
  const auto tokenizer = Load(spec);
  EXPECT_THAT(Encode(*tokenizer, "a \u3000<l> b"), ElementsAre('a', 256, ' ', 'b'));
  EXPECT_THAT(Encode(*tokenizer, "a <r> \n<l>b"), ElementsAre('a', ' ', 257, 256, 'b'));
}

TEST(Tokenizer, WhiteSpaceThatATokenTakesMayBeginTheNext) {
  json spec = ByteTokenizer();
  AddToken(&spec, 256, "\n#", {{"rstrip", true}});
  EXPECT_THAT(Encode(*Load(spec), "\n#\n#x"), ElementsAre(256, 256, 'x'));
}

TEST(Tokenizer, SingleWordTokensStandAlone) {
  json spec = ByteTokenizer();
  AddToken(&spec, 256, "hi", {{"single_word", true}});
  const auto tokenizer = Load(spec);
  EXPECT_THAT(Encode(*tokenizer, "hi"), ElementsAre(256));
  EXPECT_THAT(Encode(*tokenizer, "-hi!"), ElementsAre('-', 256, '!'));
  EXPECT_THAT(Encode(*tokenizer, "shi"), ElementsAre('s', 'h', 'i'));
  EXPECT_THAT(Encode(*tokenizer, "hi\u00e9"), ElementsAre('h', 'i', 0xC3, 0xA9));
  EXPECT_THAT(Encode(*tokenizer, "hi_"), ElementsAre('h', 'i', '_'));
}

TEST(Tokenizer, NormalizedTokensAreFoundInNormalizedText) {
  json spec = ByteTokenizer();
  AddToken(&spec, 256, "e\u0301!", {{"normalized", true}});
  AddToken(&spec, 257, "o\u0301!", {{"normalized", false}});
  const auto tokenizer = Load(spec);
  EXPECT_THAT(Encode(*tokenizer, "\u00e9!e\u0301!"), ElementsAre(256, 256));
  EXPECT_THAT(Encode(*tokenizer, "o\u0301!\u00f3!"), ElementsAre(257, 0xC3, 0xB3, '!'));
}

TEST(Tokenizer, AddedTokensArePlainTextOnRequest) {
  json spec = ByteTokenizer();
  AddToken(&spec, 256, "<x>");
  EXPECT_THAT(*Load(spec)->Encode("<x>", {.parse_special_tokens = false}),
              ElementsAre('<', 'x', '>'));
}

TEST(Tokenizer, AnAddedWordIsNotAPiece) {
  json spec = ByteTokenizer();
  AddToken(&spec, 256, "hi");
  EXPECT_THAT(*Load(spec)->Encode("hi", {.parse_special_tokens = false}), ElementsAre('h', 'i'));
}

TEST(Tokenizer, KnowsItsIds) {
  auto loaded = Tokenizer::FromModelDir(kDemoModel);
  ASSERT_OK(loaded);
  const Tokenizer& tokenizer = **loaded;
  EXPECT_EQ(tokenizer.vocab_size(), 6296);
  const auto im_end = tokenizer.TokenId("<|im_end|>");
  const auto think = tokenizer.TokenId("<think>");
  ASSERT_THAT(im_end, Optional(6272));
  ASSERT_THAT(think, Optional(6294));
  EXPECT_TRUE(tokenizer.IsSpecial(*im_end));
  EXPECT_FALSE(tokenizer.IsSpecial(*think));
  EXPECT_TRUE(tokenizer.IsAdded(*think));
  EXPECT_EQ(tokenizer.TokenBytes(*think), "<think>");
  const auto space = tokenizer.TokenId(" ");
  ASSERT_TRUE(space.has_value());
  EXPECT_EQ(tokenizer.TokenBytes(*space), " ");
  EXPECT_FALSE(tokenizer.IsAdded(*space));
  EXPECT_EQ(tokenizer.TokenId("no such token"), std::nullopt);
  for (const int32_t id : {-1, 6296, 6399, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(tokenizer.TokenBytes(id), "");
    EXPECT_FALSE(tokenizer.IsAdded(id));
    EXPECT_FALSE(tokenizer.IsSpecial(id));
  }
}

TEST(Tokenizer, RefusesInvalidUtf8WithItsOffset) {
  EXPECT_THAT(Load(ByteTokenizer())->Encode("ab\xE4\xBD"),
              StatusIs(absl::StatusCode::kInvalidArgument, "at byte offset 2"));
}

TEST(Tokenizer, EncodesTheGoldenPromptsOfTheDemoModel) {
  auto tokenizer = Tokenizer::FromModelDir(kDemoModel);
  ASSERT_OK(tokenizer);
  std::ifstream file(VALLM_SOURCE_DIR "/tools/demo_model/golden.json");
  const json golden = json::parse(file);
  int prompts = 0;
  for (const json& prompt : golden) {
    EXPECT_EQ(Encode(**tokenizer, prompt.at("prompt")),
              prompt.at("prompt_ids").get<std::vector<int32_t>>());
    ++prompts;
  }
  EXPECT_EQ(prompts, 12);
}

TEST(Tokenizer, TextSurvivesARoundTripThroughEverySmallTokenizer) {
  std::vector<std::string> dirs = {kDemoModel};
  for (const auto& entry : std::filesystem::directory_iterator(VALLM_TEST_DATA "/golden_models")) {
    if (std::filesystem::exists(entry.path() / "tokenizer.json")) dirs.push_back(entry.path());
  }
  ASSERT_GE(dirs.size(), 6u);
  const auto rows = testing::ReadJsonl(VALLM_TEST_DATA "/conformance/tokenizer_cases.jsonl");
  int texts = 0;
  for (const std::string& dir : dirs) {
    auto tokenizer = Tokenizer::FromModelDir(dir);
    ASSERT_OK(tokenizer);
    for (const auto& row : rows) {
      const auto text = row.at("text").get<std::string>();
      std::string storage;
      if (ToNfc(text, &storage).data() != text.data()) continue;  // changed on purpose
      std::string bytes;
      for (const int32_t id : Encode(**tokenizer, text)) bytes += (*tokenizer)->TokenBytes(id);
      EXPECT_EQ(bytes, text) << row.at("id");
      ++texts;
    }
  }
  EXPECT_GT(texts, 4000);
}

TEST(Tokenizer, ThreadsShareIt) {
  auto tokenizer = Tokenizer::FromModelDir(kDemoModel);
  ASSERT_OK(tokenizer);
  const std::string text = "Wörter, 你好 <|im_start|>user\n" + std::string(500, 'a');
  const std::vector<int32_t> expected = Encode(**tokenizer, text);
  std::vector<std::vector<int32_t>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&tokenizer, &text, &result] {
      for (int i = 0; i < 50; ++i) result = Encode(**tokenizer, text);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

TEST(TokenizerJson, NamesTheFieldItRefuses) {
  struct Case {
    const char* pointer;
    json value;
    absl::StatusCode code;
    const char* message;
  };
  using enum absl::StatusCode;
  const std::vector<Case> cases = {
      {"/model/type", "Unigram", kUnimplemented, "model.type"},
      {"/model/dropout", 0.1, kUnimplemented, "model.dropout"},
      {"/model/unk_token", "<unk>", kUnimplemented, "model.unk_token"},
      {"/model/byte_fallback", true, kUnimplemented, "model.byte_fallback"},
      {"/model/continuing_subword_prefix", "##", kUnimplemented, "model.continuing_subword_prefix"},
      {"/model/end_of_word_suffix", "</w>", kUnimplemented, "model.end_of_word_suffix"},
      {"/model/ignore_merges", 1, kInvalidArgument, "model.ignore_merges"},
      {"/model/vocab", json::array(), kInvalidArgument, "model.vocab"},
      {"/model/vocab/a", "x", kInvalidArgument, "model.vocab"},
      {"/model/vocab/a", -1, kInvalidArgument, "model.vocab"},
      {"/model/vocab/a", 98, kInvalidArgument, "two entries have the id 98"},
      {"/model/merges", 5, kInvalidArgument, "model.merges"},
      {"/model/merges/0", "ab", kInvalidArgument, "model.merges[0]"},
      {"/model/merges/0", "a q", kInvalidArgument, "model.merges[0]: \"aq\" is not in"},
      {"/normalizer/type", "NFKC", kUnimplemented, "normalizer"},
      {"/pre_tokenizer", nullptr, kUnimplemented, "pre_tokenizer"},
      {"/pre_tokenizer/pretokenizers/0/pattern/Regex", "\\s+", kUnimplemented,
       "pre_tokenizer.pretokenizers[0].pattern"},
      {"/pre_tokenizer/pretokenizers/0/behavior", "Removed", kUnimplemented,
       "pre_tokenizer.pretokenizers[0].behavior"},
      {"/pre_tokenizer/pretokenizers/0/invert", true, kUnimplemented,
       "pre_tokenizer.pretokenizers[0].invert"},
      {"/pre_tokenizer/pretokenizers/1/add_prefix_space", true, kUnimplemented,
       "pre_tokenizer.pretokenizers[1].add_prefix_space"},
      {"/pre_tokenizer/pretokenizers/1/use_regex", true, kUnimplemented,
       "pre_tokenizer.pretokenizers[1].use_regex"},
      {"/post_processor", {{"type", "TemplateProcessing"}}, kUnimplemented, "post_processor"},
      {"/decoder", nullptr, kUnimplemented, "decoder"},
      {"/truncation", {{"max_length", 5}}, kUnimplemented, "truncation"},
      {"/padding", {{"strategy", "BatchLongest"}}, kUnimplemented, "padding"},
      {"/added_tokens/0/content", "", kInvalidArgument, "added_tokens[0].content"},
      {"/added_tokens/0/id", 1 << 23, kInvalidArgument, "added_tokens[0].id"},
      {"/added_tokens/0/special", "yes", kInvalidArgument, "added_tokens[0].special"},
      {"/added_tokens/0/content", "A", kInvalidArgument, "has the id 257, but 65 in model.vocab"},
      {"/added_tokens/0/id", 65, kInvalidArgument, "which model.vocab gives to \"A\""},
  };
  json valid = ByteTokenizer();
  valid["model"]["merges"] = json::array({"a b"});
  valid["model"]["vocab"]["ab"] = 256;
  AddToken(&valid, 257, "<x>");
  ASSERT_OK(Tokenizer::FromJson(valid.dump()));
  for (const Case& row : cases) {
    json spec = valid;
    spec[json::json_pointer(row.pointer)] = row.value;
    EXPECT_THAT(Tokenizer::FromJson(spec.dump()), StatusIs(row.code, row.message)) << row.pointer;
  }
}

TEST(TokenizerJson, RefusesWhatIsNoTokenizer) {
  EXPECT_THAT(Tokenizer::FromJson("{"), StatusIs(absl::StatusCode::kInvalidArgument, "not JSON"));
  EXPECT_THAT(Tokenizer::FromJson("[]"), StatusIs(absl::StatusCode::kInvalidArgument, "object"));
  EXPECT_THAT(Tokenizer::FromModelDir("/nonexistent"),
              StatusIs(absl::StatusCode::kNotFound, "/nonexistent/tokenizer.json"));
  json spec = ByteTokenizer();
  spec["model"]["vocab"].erase("A");
  EXPECT_THAT(Tokenizer::FromJson(spec.dump()),
              StatusIs(absl::StatusCode::kInvalidArgument, "no entry for the byte 65"));
}

TEST(TokenizerJson, NestingCannotExhaustTheStack) {
  constexpr int kDepth = 500'000;
  const auto nested = [](const std::string& open, const std::string& close) {
    std::string text;
    for (int i = 0; i < kDepth; ++i) text += open;
    text += "null";
    for (int i = 0; i < kDepth; ++i) text += close;
    return text;
  };
  json spec = ByteTokenizer();
  spec["normalizer"] = "HERE";
  const auto with = [text = spec.dump()](const std::string& value) {
    return std::string(text).replace(text.find("\"HERE\""), 6, value);
  };
  EXPECT_THAT(Tokenizer::FromJson(with(nested("[", "]"))),
              StatusIs(absl::StatusCode::kUnimplemented, "normalizer"));
  EXPECT_THAT(Tokenizer::FromJson(with(nested(R"({"type":"Sequence","normalizers":[)", "]}"))),
              StatusIs(absl::StatusCode::kInvalidArgument, "normalizers[0]: is nested too deep"));
}

}  // namespace
}  // namespace vallm::tokenizer
