// From a chat request to token ids, one thread: prompt_bench MODEL_DIR CORPUS.jsonl [TURNS].
// Conversations of about 8,000 tokens with five tools: cold, as the next turn of a conversation
// whose earlier turns were encoded, and sent once more. MODEL_DIR needs a tokenizer.json and a chat
// template; the corpus has one JSON string per line (tests/data/conformance/corpus_gen.py).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "tests/testing/jsonl.h"
#include "tokenizer_service/served_model.h"

namespace {

using nlohmann::ordered_json;
using vallm::tokenizer::ServedModel;

constexpr int kRounds = 201;

ordered_json Tools() {
  ordered_json tools = ordered_json::array();
  for (const char* name : {"get_weather", "search_web", "read_file", "run_python", "send_mail"}) {
    ordered_json properties;
    for (const char* field : {"query", "city", "limit", "path"}) {
      properties[field] = {{"type", "string"},
                           {"description", absl::StrCat("The ", field, " that ", name, " needs.")}};
    }
    tools.push_back(
        {{"type", "function"},
         {"function",
          {{"name", name},
           {"description", absl::StrCat("Calls ", name, " and returns what it says as JSON.")},
           {"parameters",
            {{"type", "object"}, {"properties", properties}, {"required", {"query"}}}}}}});
  }
  return tools;
}

// Hands out the texts of a corpus in pieces that end at a space.
class Prose {
 public:
  explicit Prose(const std::string& path) {
    for (const auto& row : vallm::testing::ReadJsonl(path)) {
      absl::StrAppend(&text_, row.get<std::string>(), " ");
    }
  }

  std::string Next(size_t bytes) {
    if (offset_ + 2 * bytes > text_.size()) offset_ = 0;
    const size_t end = std::min(text_.find(' ', offset_ + bytes), text_.size());
    const size_t begin = std::exchange(offset_, std::min(end + 1, text_.size()));
    return text_.substr(begin, end - begin);
  }

 private:
  std::string text_;
  size_t offset_ = 0;
};

ordered_json Messages(Prose& prose, int turns) {
  ordered_json messages = {{{"role", "system"}, {"content", prose.Next(800)}}};
  for (int turn = 1; turn <= turns; ++turn) {
    messages.push_back({{"role", "user"}, {"content", prose.Next(300)}});
    if (turn == turns) break;
    ordered_json answer = {{"role", "assistant"}, {"content", prose.Next(800)}};
    if (turn % 5 == 0) {
      answer["tool_calls"] = {
          {{"type", "function"},
           {"function", {{"name", "search_web"}, {"arguments", R"({"query": "latency"})"}}}}};
    }
    messages.push_back(std::move(answer));
    if (turn % 5 == 0) messages.push_back({{"role", "tool"}, {"content", prose.Next(400)}});
  }
  return messages;
}

ServedModel::Conversation Conversation(const ordered_json& messages) {
  return {.messages_json = messages.dump(), .tools_json = Tools().dump(), .kwargs_json = ""};
}

ServedModel::Prompt Render(const ServedModel& model, const ServedModel::Conversation& turn) {
  auto prompt = model.RenderChat(turn, absl::UnixEpoch(), [] { return absl::OkStatus(); });
  if (!prompt.ok()) {
    std::fprintf(stderr, "%s\n", prompt.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(prompt);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double TimeOf(const ServedModel& model, const ServedModel::Conversation& turn) {
  const auto start = std::chrono::steady_clock::now();
  Render(model, turn);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL_DIR CORPUS.jsonl [TURNS]\n", argv[0]);
    return 2;
  }
  const int turns = argc > 3 ? std::atoi(argv[3]) : 20;
  const auto plain = ServedModel::Load({.model_dir = argv[1], .prompt_cache_bytes = 0});
  const auto caching = ServedModel::Load({.model_dir = argv[1]});
  if (!plain.ok() || !caching.ok()) {
    std::fprintf(stderr, "%s\n", plain.status().ToString().c_str());
    return 1;
  }
  Prose prose(argv[2]);
  std::vector<double> cold;
  std::vector<double> next;
  std::vector<double> repeated;
  std::vector<double> bytes;
  std::vector<double> tokens;
  for (int round = 0; round < kRounds; ++round) {
    // A conversation of its own each round, so that only its own earlier turns are known.
    ordered_json messages = Messages(prose, turns);
    const auto turn = Conversation(messages);
    messages.erase(messages.end() - 2, messages.end());
    const auto earlier = Conversation(messages);
    cold.push_back(TimeOf(**plain, turn));
    Render(**caching, earlier);
    next.push_back(TimeOf(**caching, turn));
    repeated.push_back(TimeOf(**caching, turn));
    const auto prompt = Render(**plain, turn);
    bytes.push_back(static_cast<double>(prompt.text.size()));
    tokens.push_back(static_cast<double>(prompt.token_ids.size()));
  }
  std::printf("%d turns, 5 tools, %.0f bytes, %.0f tokens (medians of %d conversations)\n", turns,
              Median(bytes), Median(tokens), kRounds);
  std::printf("cold       %.3f ms\nnext turn  %.3f ms\nrepeated   %.3f ms\n", 1e3 * Median(cold),
              1e3 * Median(next), 1e3 * Median(repeated));
  return 0;
}
