// libFuzzer: Encode refuses exactly what is not UTF-8; the bytes of the ids are the NFC of the
// text; encoding those bytes again gives the same ids; text without "<" means the same with and
// without special tokens.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_service/bpe/nfc.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

void Require(bool holds, const char* law) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", law);
  std::abort();
}

const Tokenizer& DemoTokenizer() {
  static const auto tokenizer =
      Tokenizer::FromModelDir(VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8");
  Require(tokenizer.ok(), "the demo tokenizer loads");
  return **tokenizer;
}

std::string BytesOf(const std::vector<int32_t>& ids) {
  std::string bytes;
  for (const int32_t id : ids) {
    Require(!DemoTokenizer().TokenBytes(id).empty(), "every id has bytes");
    bytes += DemoTokenizer().TokenBytes(id);
  }
  return bytes;
}

void Check(std::string_view text) {
  const Tokenizer& tokenizer = DemoTokenizer();
  const auto plain = tokenizer.Encode(text, {.parse_special_tokens = false});
  Require(plain.ok() == !FirstInvalidUtf8(text).has_value(), "refuses what is not UTF-8");
  if (!plain.ok()) return;
  std::string storage;
  const std::string_view normal = ToNfc(text, &storage);
  Require(BytesOf(*plain) == normal, "the bytes are the NFC of the text");
  const auto again = tokenizer.Encode(normal, {.parse_special_tokens = false});
  Require(again.ok() && *again == *plain, "the NFC of the text has the same ids");
  const auto parsed = tokenizer.Encode(text);
  Require(parsed.ok(), "special tokens refuse nothing");
  if (text.find('<') == std::string_view::npos) {
    Require(*parsed == *plain, "without a tag nothing is special");
  }
}

}  // namespace
}  // namespace vallm::tokenizer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vallm::tokenizer::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
