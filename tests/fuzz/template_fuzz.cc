// Parses and renders arbitrary bytes under tight limits: the part before the first NUL is a
// template, the rest its context. Whatever comes in, the engine answers with text or a status.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "tokenizer_service/template/render_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static constexpr std::string_view kContext =
      R"({"l": [3, 1, 2], "s": "Hé😀", "d": {"a": 1, "b": [1.5]}, "n": null, "i": 123456789012345678901,
          "messages": [{"role": "user", "content": "hi"}]})";
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = input.find('\0');
  const std::string_view context = nul == std::string_view::npos ? kContext : input.substr(nul + 1);
  vallm::tokenizer::Limits limits;
  limits.max_steps = 200'000;
  limits.max_output_bytes = 1 << 20;
  limits.max_string_bytes = 1 << 20;
  limits.max_elements = 100'000;
  limits.max_call_depth = 50;
  limits.max_eval_depth = 500;
  (void)vallm::tokenizer::RenderTemplate(input.substr(0, nul), context, absl::UnixEpoch(), limits);
  return 0;
}
