// libFuzzer: any template with any context, under tight limits, gives text or an error with a
// message, the same each time. The part before the first NUL is the template, the rest its context.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/fuzz/require.h"
#include "tokenizer_service/bpe/utf8.h"
#include "tokenizer_service/template/chat_template.h"
#include "tokenizer_service/template/render_template.h"

namespace vallm::tokenizer {
namespace {

constexpr std::string_view kContext =
    R"({"l": [3, 1, 2], "s": "Hé😀", "d": {"a": 1, "b": [1.5]}, "n": null, "i": 123456789012345678901,
        "messages": [{"role": "user", "content": "hi"}]})";

Limits TightLimits() {
  Limits limits;
  limits.max_steps = 200'000;
  limits.max_output_bytes = 1 << 20;
  limits.max_string_bytes = 1 << 20;
  limits.max_elements = 100'000;
  limits.max_call_depth = 50;
  limits.max_eval_depth = 500;
  return limits;
}

void Check(std::string_view source, std::string_view context) {
  const Limits limits = TightLimits();
  const auto text = RenderTemplate(source, context, absl::UnixEpoch(), limits);
  const auto parsed = ChatTemplate::Parse(std::string(source), limits);
  if (!text.ok()) {
    Require(text.status().code() == absl::StatusCode::kInvalidArgument, "the input is at fault");
    Require(!FirstInvalidUtf8(std::string(text.status().message())), "a message is UTF-8");
  } else {
    Require(parsed.ok(), "what renders can be parsed");
    Require(text->size() <= limits.max_output_bytes, "no more output than the limit");
    Require(!FirstInvalidUtf8(*text), "the output is UTF-8");
    const auto again = RenderTemplate(source, context, absl::UnixEpoch(), limits);
    Require(again.ok() && *again == *text, "the same each time");
  }
  if (!parsed.ok()) {
    Require(parsed.status().message().find("template") != std::string_view::npos,
            "a syntax error says where");
  }
}

}  // namespace
}  // namespace vallm::tokenizer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = input.find('\0');
  vallm::tokenizer::Check(input.substr(0, nul), nul == std::string_view::npos
                                                    ? vallm::tokenizer::kContext
                                                    : input.substr(nul + 1));
  return 0;
}
