// libFuzzer: any tokenizer.json either is refused with a message or makes a tokenizer that keeps
// the laws of all of them. The input is the file, a NUL, and a text for it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/json_mutator.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/tokenizer_laws.h"
#include "tokenizer_service/bpe/tokenizer_json.h"

namespace vallm::tokenizer {
namespace {

constexpr std::string_view kWords[] = {
    R"("NFC")",
    R"("Sequence")",
    R"("ByteLevel")",
    R"("Split")",
    R"("BPE")",
    R"("Ġ")",
    R"("ab")",
    R"("Ġa")",
    R"("Ã©")",
    R"("<|x|>")",
    R"("model")",
    R"("vocab")",
    R"("merges")",
    R"("added_tokens")",
    R"("id")",
    R"("content")",
    R"("special")",
    R"("normalized")",
    R"("lstrip")",
    R"("rstrip")",
    R"("single_word")",
    R"("ignore_merges")",
    R"("normalizer")",
    R"("type")",
    R"(["a", "b"])",
    R"(["Ġ", "a"])",
    R"(["ab", "c"])",
    R"("a b")",
    R"("é a")",
    R"({"id": 300, "content": "<|x|>", "special": true})",
    R"({"id": 301, "content": "ab", "normalized": true})",
    R"({"id": 302, "content": " é", "lstrip": true, "rstrip": true, "single_word": true})",
    R"({"type": "NFC"})",
    R"({"type": "Sequence", "normalizers": [{"type": "NFC"}]})",
    "256",
    "300",
    "4194302",
    "4194303"};

// Loading allocates a table of ids; a number near the limit makes it large and the fuzzer slow, so
// that only few inputs may have one.
bool IsSlow(const TokenizerSpec& spec, std::string_view text) {
  int32_t highest = 0;
  for (const auto& entry : spec.vocab) highest = std::max(highest, entry.id);
  for (const auto& token : spec.added_tokens) highest = std::max(highest, token.id);
  return highest > 10'000 && text.size() % 16 != 0;
}

void CheckTokenizer(std::string_view json, std::string_view text) {
  const auto spec = ParseTokenizerJson(json);
  if (spec.ok() && IsSlow(*spec, text)) return;
  const auto tokenizer = Tokenizer::FromJson(json);
  if (!tokenizer.ok()) {
    Require(!tokenizer.status().message().empty(), "an error says what is wrong");
    return;
  }
  Require(spec.ok(), "what loads has been parsed");
  TokenizerTraits traits{.nfc = spec->nfc};
  for (const AddedToken& token : spec->added_tokens) {
    traits.strips_space = traits.strips_space || token.lstrip || token.rstrip;
  }
  CheckEncode(**tokenizer, traits, text);
  std::vector<int32_t> ids;
  for (const char c : text) ids.push_back(static_cast<uint8_t>(c) * 2 - 1);
  CheckDecode(**tokenizer, ids);
}

}  // namespace
}  // namespace vallm::tokenizer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = std::min(input.find('\0'), size);
  vallm::tokenizer::CheckTokenizer(input.substr(0, nul), input.substr(std::min(nul + 1, size)));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = std::min(input.find('\0'), size);
  std::string json(input.substr(0, nul));
  std::string text(input.substr(std::min(nul + 1, size)));
  std::minstd_rand random(seed);
  const unsigned choice = random() % 8;
  if (choice < 3) {
    text = vallm::MutateBytes(text, text.size() + 64);
  } else if (choice == 3) {
    json = vallm::MutateBytes(json, json.size() + 64);
  } else {
    json = vallm::MutateJson(json, vallm::tokenizer::kWords, random());
  }
  return vallm::JoinAtNul(json, text, data, max_size);
}
