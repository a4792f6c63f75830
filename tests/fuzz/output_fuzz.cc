// libFuzzer: any cut of any answer gives the events of the whole, whatever the options. The first
// bytes of the input choose the options and the cuts; the rest is the answer, as text or as ids.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/require.h"
#include "tokenizer_service/bpe/nfc.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/bpe/utf8.h"
#include "tokenizer_service/output/output_parser.h"

namespace vallm::tokenizer {
namespace {

constexpr size_t kHeaderBytes = 6;

const Tokenizer& DemoTokenizer() {
  static const auto tokenizer =
      Tokenizer::FromModelDir(VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8");
  Require(tokenizer.ok(), "the demo tokenizer loads");
  return **tokenizer;
}

std::string Pick(const std::vector<std::string>& names, uint8_t byte) {
  const size_t index = byte % (names.size() + 1);
  return index < names.size() ? names[index] : "";
}

OutputOptions OptionsFrom(const uint8_t* bytes) {
  static const std::vector<std::string> kReasoning = ReasoningParserNames();
  static const std::vector<std::string> kTool = ToolParserNames();
  OutputOptions options;
  options.reasoning_parser = Pick(kReasoning, bytes[0] & 15);
  options.tool_parser = Pick(kTool, bytes[0] >> 4);
  options.prompt_think_state = static_cast<PromptThinkState>(bytes[1] & 3);
  options.tools_enabled = (bytes[1] & 4) == 0;
  options.skip_special_tokens = bytes[1] & 8;
  options.whitespace = bytes[1] & 64 ? Whitespace::kVerbatim : Whitespace::kClean;
  options.parallel_tool_calls = (bytes[1] & 128) == 0;
  options.include_stop_str_in_output = bytes[2] & 1;
  if (bytes[2] & 2) options.stop = {"STOP", "\n\n", "P<", ">{\""};
  if (bytes[2] & 4) options.stop.insert(options.stop.end(), {"aab", "aa", "<think>", "é"});
  if (bytes[2] & 8) {
    options.tools_json = R"([{"type": "function", "function": {"name": "f", "parameters": {
        "properties": {"n": {"type": "integer"}, "s": {"type": "string"},
                       "o": {"anyOf": [{"type": "object"}, {"type": "null"}]}}}}}])";
  }
  return options;
}

// Every answer keeps these, however it is fed.
void CheckEvents(const std::vector<Event>& events, const OutputOptions& options) {
  Require(!events.empty() && events.back().kind == Event::Kind::kFinish, "the finish is the end");
  int calls = 0;
  bool stopped = false;
  for (const Event& event : events) {
    Require(!FirstInvalidUtf8(event.text), "an event is valid UTF-8");
    const bool is_finish = event.kind == Event::Kind::kFinish;
    Require(is_finish == (&event == &events.back()), "there is one finish");
    Require(!stopped || is_finish, "nothing but the finish follows a stop");
    if (event.kind == Event::Kind::kStop) {
      stopped = true;
      Require(std::find(options.stop.begin(), options.stop.end(), event.text) != options.stop.end(),
              "a stop is one of the stop strings");
    } else if (event.kind == Event::Kind::kToolCallStart) {
      Require(event.index == calls++, "calls are counted from 0");
    } else if (event.kind == Event::Kind::kToolArguments) {
      Require(event.index == calls - 1 && calls > 0, "arguments follow their call's start");
    } else if (event.kind == Event::Kind::kReasoning) {
      Require(!options.reasoning_parser.empty(), "no reasoning without its parser");
    }
  }
  Require(calls == 0 || (options.tools_enabled && !options.tool_parser.empty()),
          "no calls without their parser");
  Require(calls <= 1 || options.parallel_tool_calls, "at most one call where one is allowed");
}

// What an answer came to, and what the parser said of it.
struct Outcome {
  ParsedOutput output;
  int64_t reasoning_tokens = 0;
  int tool_calls = 0;
  bool stopped = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome Parse(const OutputOptions& options, std::span<const int32_t> ids, std::string_view text,
              size_t max, uint32_t draw) {
  auto parser = OutputParser::Create(&DemoTokenizer(), options);
  Require(parser.ok(), "the options are valid");
  std::vector<Event> events;
  while (!ids.empty() || !text.empty()) {
    draw = draw * 1664525u + 1013904223u;
    const size_t n = std::min(1 + (draw >> 8) % max, std::max(text.size(), ids.size()));
    if (ids.empty()) {
      (*parser)->FeedText(text.substr(0, n), &events);
      text.remove_prefix(n);
    } else {
      (*parser)->FeedTokens(ids.first(n), &events);
      ids = ids.subspan(n);
    }
  }
  (*parser)->Finish("length", &events);
  CheckEvents(events, options);
  return {Fold(events), (*parser)->reasoning_token_count(), (*parser)->tool_call_count(),
          (*parser)->stopped()};
}

// Pieces of at most `max`, of lengths drawn from `draw`: all the same in the end.
Outcome CheckCuts(const OutputOptions& options, std::span<const int32_t> ids, std::string_view text,
                  uint8_t max, uint8_t draw) {
  const size_t size = std::max(ids.size(), text.size());
  const Outcome whole = Parse(options, ids, text, /*max=*/1, /*draw=*/0);
  Require(Parse(options, ids, text, size + 1, draw) == whole, "one or two pieces");
  Require(Parse(options, ids, text, size_t{max} % 17 + 2, draw) == whole, "pieces of any length");
  return whole;
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

void CheckText(const OutputOptions& options, std::string_view text, const uint8_t* cuts) {
  const Outcome whole = CheckCuts(options, {}, text, cuts[0], cuts[1]);
  const bool plain = options.reasoning_parser.empty() && options.stop.empty() &&
                     (options.tool_parser.empty() || !options.tools_enabled);
  if (plain) Require(whole.output.content == ReplaceInvalidUtf8(text), "plain text stays");
  // As tokens, tags and all, the text means the same.
  std::string storage;
  if (FirstInvalidUtf8(text) || ToNfc(text, &storage) != text) return;
  const auto ids = DemoTokenizer().Encode(text);
  Require(ids.ok(), "UTF-8 can be encoded");
  const Outcome of_ids = CheckCuts(options, *ids, {}, cuts[0], cuts[1]);
  Require(options.skip_special_tokens || of_ids.output == whole.output, "ids mean what text means");
}

}  // namespace
}  // namespace vallm::tokenizer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vallm::tokenizer;
  if (size < kHeaderBytes) return 0;
  OutputOptions options = OptionsFrom(data);
  const std::string_view rest(reinterpret_cast<const char*>(data) + kHeaderBytes,
                              size - kHeaderBytes);
  if (data[3] % 4 == 3) {
    options.min_tokens = data[2] >> 4;
    CheckCuts(options, IdsFrom(rest), {}, data[4], data[5]);
  } else {
    CheckText(options, rest, data + 4);
  }
  return 0;
}
