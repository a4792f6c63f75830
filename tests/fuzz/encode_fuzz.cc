// libFuzzer: any text through the demo model's tokenizer and back, and any ids to text.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tests/fuzz/require.h"
#include "tests/fuzz/tokenizer_laws.h"

namespace vallm::tokenizer {
namespace {

const Tokenizer& DemoTokenizer() {
  static const auto tokenizer =
      Tokenizer::FromModelDir(VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8");
  Require(tokenizer.ok(), "the demo tokenizer loads");
  return **tokenizer;
}

// Two bytes an id, some of them outside the vocabulary.
std::vector<int32_t> IdsFrom(std::string_view bytes) {
  const int32_t bound = DemoTokenizer().vocab_size() + 4;
  std::vector<int32_t> ids;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const int32_t number = static_cast<uint8_t>(bytes[i]) << 8 | static_cast<uint8_t>(bytes[i + 1]);
    ids.push_back(number % bound - 2);
  }
  return ids;
}

}  // namespace
}  // namespace vallm::tokenizer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vallm::tokenizer;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  CheckEncode(DemoTokenizer(), {}, text);
  CheckDecode(DemoTokenizer(), IdsFrom(text));
  return 0;
}
