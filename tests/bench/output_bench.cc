// Single-thread speed of turning ids into text and into events: output_bench MODEL_DIR [ROUNDS].
// The answer is a thought, prose and tool calls over and over; the best round is printed. The ids
// come one by one, as from an engine.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/output/detokenizer.h"
#include "tokenizer_service/output/output_parser.h"

namespace vallm::tokenizer {
namespace {

std::string Answer() {
  std::string prose;
  for (int i = 0; i < 400; ++i) {
    prose +=
        "The tide at 北京 rises by 1.5 m; if a < b then it falls again. Naïve, but so it is.\n";
  }
  std::string text = "<think>\n" + prose + "</think>\n\n" + prose;
  for (int i = 0; i < 200; ++i) {
    text +=
        "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": "
        "[1, 2, 3], \"note\": \"as \\\"warm\\\" as it gets\"}}\n</tool_call>\n";
  }
  return text;
}

// Runs `work` `rounds` times and returns the shortest time in seconds.
template <typename Work>
double Best(int rounds, const Work& work) {
  double best = 1e30;
  for (int round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

int Run(const char* model_dir, int rounds) {
  const auto tokenizer = Tokenizer::FromModelDir(model_dir);
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "%s\n", tokenizer.status().ToString().c_str());
    return 1;
  }
  const std::string text = Answer();
  const std::vector<int32_t> ids = *(*tokenizer)->Encode(text);
  const double tokens = static_cast<double>(ids.size());

  const double decode = Best(rounds, [&] {
    if (Decode(**tokenizer, ids, /*skip_special_tokens=*/true) != text) std::abort();
  });
  std::printf("decode  %7.1f ns/token\n", decode / tokens * 1e9);

  for (const bool stops : {false, true}) {
    OutputOptions options;
    options.reasoning_parser = "qwen3";
    options.tool_parser = "hermes";
    options.tools_enabled = true;
    if (stops) options.stop = {"\nObservation:", "<|end|>", "###"};
    const double parse = Best(rounds, [&] {
      auto parser = *OutputParser::Create(tokenizer->get(), options);
      std::vector<Event> events;
      for (const int32_t id : ids) {
        events.clear();
        parser->FeedTokens({&id, 1}, &events);
      }
      parser->Finish("stop", &events);
      if (parser->tool_call_count() != 200) std::abort();
    });
    std::printf("parse   %7.1f ns/token, %d stop strings\n", parse / tokens * 1e9, stops ? 3 : 0);
  }
  std::printf("%zu tokens, %zu bytes\n", ids.size(), text.size());
  return 0;
}

}  // namespace
}  // namespace vallm::tokenizer

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s MODEL_DIR [ROUNDS]\n", argv[0]);
    return 2;
  }
  return vallm::tokenizer::Run(argv[1], argc > 2 ? std::atoi(argv[2]) : 5);
}
