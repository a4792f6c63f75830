// Single-thread speed of turning ids into text and into events: output_bench MODEL_DIR [ROUNDS].
// The answer is a thought, prose and tool calls over and over. The ids come one by one, as from an
// engine, and their roles are counted, as for log-probabilities. The CPU time of the best round is
// printed, which a busy machine disturbs least.
#include <time.h>

#include <algorithm>
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

constexpr int kCalls = 200;
constexpr char kHermesCall[] =
    "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": [1, "
    "2, 3], "
    "\"note\": \"as \\\"warm\\\" as it gets\"}}\n</tool_call>\n";
constexpr char kCoderCall[] =
    "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n"
    "[1, 2, 3]\n</parameter>\n<parameter=note>\nas \"warm\" as it gets\n</parameter>\n</function>\n"
    "</tool_call>\n";

std::string Answer(const std::string& call) {
  std::string prose;
  for (int i = 0; i < 400; ++i) {
    prose +=
        "The tide at 北京 rises by 1.5 m; if a < b then it falls again. Naïve, but so it is.\n";
  }
  std::string text = "<think>\n" + prose + "</think>\n\n" + prose;
  for (int i = 0; i < kCalls; ++i) text += call;
  return text;
}

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Runs `work` `rounds` times and returns the shortest CPU time in seconds.
template <typename Work>
double Best(int rounds, const Work& work) {
  double best = 1e30;
  for (int round = 0; round < rounds; ++round) {
    const double start = CpuSeconds();
    work();
    best = std::min(best, CpuSeconds() - start);
  }
  return best;
}

// One answer, id by id; every id must come back with an event.
void Parse(const Tokenizer& tokenizer, const OutputOptions& options,
           const std::vector<int32_t>& ids) {
  auto parser = *OutputParser::Create(&tokenizer, options);
  std::vector<Event> events;
  int64_t attributed = 0;
  const auto count = [&] {
    for (const Event& event : events) {
      for (const TokenRun& run : event.tokens) attributed += run.count;
    }
    events.clear();
  };
  for (const int32_t id : ids) {
    parser->FeedTokens({&id, 1}, &events);
    count();
  }
  parser->Finish("stop", &events);
  count();
  const int calls = options.tool_parser.empty() ? 0 : kCalls;
  if (parser->tool_call_count() != calls) std::abort();
  if (attributed != static_cast<int64_t>(ids.size())) std::abort();
}

int Run(const char* model_dir, int rounds) {
  const auto tokenizer = Tokenizer::FromModelDir(model_dir);
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "%s\n", tokenizer.status().ToString().c_str());
    return 1;
  }
  const std::string text = Answer(kHermesCall);
  const std::vector<int32_t> ids = *(*tokenizer)->Encode(text);
  const double decode = Best(rounds, [&] {
    if (Decode(**tokenizer, ids, /*skip_special_tokens=*/true) != text) std::abort();
  });
  std::printf("decode                        %7.1f ns/token\n",
              decode / static_cast<double>(ids.size()) * 1e9);

  struct Case {
    const char* reasoning;
    const char* tools;
    bool stops;
  };
  for (const Case& row : {Case{"", "", false}, Case{"", "", true}, Case{"qwen3", "", false},
                          Case{"qwen3", "hermes", false}, Case{"qwen3", "hermes", true},
                          Case{"deepseek_r1", "hermes", false}, Case{"qwen3", "qwen3_coder", false},
                          Case{"qwen3", "qwen3_coder", true}}) {
    OutputOptions options;
    options.reasoning_parser = row.reasoning;
    options.tool_parser = row.tools;
    options.tools_enabled = true;
    if (row.stops) options.stop = {"\nObservation:", "<|end|>", "###"};
    const bool coder = options.tool_parser == "qwen3_coder";
    const std::vector<int32_t> answer =
        *(*tokenizer)->Encode(Answer(coder ? kCoderCall : kHermesCall));
    const double parse = Best(rounds, [&] { Parse(**tokenizer, options, answer); });
    std::printf("parse %-11s %-11s %7.1f ns/token%s\n", row.reasoning, row.tools,
                parse / static_cast<double>(answer.size()) * 1e9,
                row.stops ? ", 3 stop strings" : "");
  }
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
