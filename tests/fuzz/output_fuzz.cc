// libFuzzer: any cut of any bytes gives the answer of the whole, whatever the options, and every
// event is valid UTF-8. The first bytes of the input choose the options and the cuts.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer_service/bpe/utf8.h"
#include "tokenizer_service/output/output_parser.h"

namespace vallm::tokenizer {
namespace {

constexpr size_t kOptionBytes = 4;

void Require(bool holds, const char* law) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", law);
  std::abort();
}

OutputOptions OptionsFrom(const uint8_t* bytes) {
  OutputOptions options;
  if (bytes[0] & 1) options.reasoning_parser = "qwen3";
  const std::vector<std::string> tool_parsers = ToolParserNames();
  const size_t tool_parser = (bytes[0] >> 1) % (tool_parsers.size() + 1);
  if (tool_parser < tool_parsers.size()) options.tool_parser = tool_parsers[tool_parser];
  options.tools_enabled = true;
  options.tools_json =
      R"([{"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}}])";
  options.prompt_think_state = static_cast<PromptThinkState>(bytes[1] % 3);
  options.whitespace = bytes[1] & 64 ? Whitespace::kVerbatim : Whitespace::kClean;
  options.parallel_tool_calls = (bytes[1] & 128) == 0;
  if (bytes[2] & 1) options.stop = {"STOP", "\n\n", "P<", ">{\""};
  options.include_stop_str_in_output = bytes[2] & 2;
  return options;
}

// Parses `text` in pieces of at most `max` bytes; `draw` draws their lengths.
ParsedOutput Parse(const OutputOptions& options, std::string_view text, size_t max, uint32_t draw) {
  auto parser = OutputParser::Create(/*tokenizer=*/nullptr, options);
  Require(parser.ok(), "the options are valid");
  std::vector<Event> events;
  while (!text.empty()) {
    draw = draw * 1664525u + 1013904223u;
    const size_t n = std::min(1 + (draw >> 8) % max, text.size());
    (*parser)->FeedText(text.substr(0, n), &events);
    text.remove_prefix(n);
  }
  (*parser)->Finish("length", &events);
  for (const Event& event : events) {
    Require(!FirstInvalidUtf8(event.text), "an event is valid UTF-8");
  }
  return Fold(events);
}

}  // namespace
}  // namespace vallm::tokenizer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vallm::tokenizer;
  if (size < kOptionBytes) return 0;
  const OutputOptions options = OptionsFrom(data);
  const std::string_view text(reinterpret_cast<const char*>(data) + kOptionBytes,
                              size - kOptionBytes);
  const ParsedOutput whole = Parse(options, text, text.size() + 1, /*draw=*/0);
  Require(Parse(options, text, /*max=*/1, /*draw=*/0) == whole, "bytes one by one");
  Require(Parse(options, text, /*max=*/7, /*draw=*/data[3]) == whole, "random pieces");
  return 0;
}
