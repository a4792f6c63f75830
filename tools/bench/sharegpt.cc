#include "tools/bench/sharegpt.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace vallm::tools {
namespace {

using Json = nlohmann::json;

constexpr int64_t kFewestTokens = 4;
constexpr int64_t kMostPromptTokens = 1024;
constexpr int64_t kMostTokens = 2048;

absl::StatusOr<std::string> Turn(const Json& conversation, size_t index, size_t entry) {
  const Json& turn = conversation[index];
  if (!turn.is_object() || !turn.contains("value") || !turn["value"].is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("entry ", entry, ": conversations[", index,
                                                   "] has no \"value\" that is a string"));
  }
  return turn["value"].get<std::string>();
}

}  // namespace

absl::StatusOr<std::vector<BenchPrompt>> ShareGptPrompts(std::string_view json, int64_t output_len,
                                                         int64_t count, uint64_t seed,
                                                         const tokenizer::Tokenizer& tokenizer) {
  const Json entries = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!entries.is_array()) {
    return absl::InvalidArgumentError("--dataset-path: a ShareGPT file is a JSON array");
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Json& entry = entries[i];
    if (!entry.is_object() || !entry.contains("conversations") ||
        !entry["conversations"].is_array()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--dataset-path: entry ", i, " has no \"conversations\""));
    }
    if (entry["conversations"].size() < 2) continue;
    VALLM_ASSIGN_OR_RETURN(std::string prompt, Turn(entry["conversations"], 0, i));
    VALLM_ASSIGN_OR_RETURN(std::string answer, Turn(entry["conversations"], 1, i));
    pairs.emplace_back(std::move(prompt), std::move(answer));
  }

  std::mt19937_64 random(seed);
  std::shuffle(pairs.begin(), pairs.end(), random);
  std::vector<BenchPrompt> prompts;
  for (auto& [prompt, answer] : pairs) {
    if (static_cast<int64_t>(prompts.size()) == count) break;
    VALLM_ASSIGN_OR_RETURN(const auto prompt_ids, tokenizer.Encode(prompt));
    VALLM_ASSIGN_OR_RETURN(const auto answer_ids, tokenizer.Encode(answer));
    const auto tokens = static_cast<int64_t>(prompt_ids.size());
    const int64_t output = output_len > 0 ? output_len : static_cast<int64_t>(answer_ids.size());
    const bool usual = tokens >= kFewestTokens && tokens <= kMostPromptTokens &&
                       tokens + output <= kMostTokens &&
                       (output_len > 0 || output >= kFewestTokens);
    if (usual) {
      prompts.push_back({.text = std::move(prompt), .tokens = tokens, .output_tokens = output});
    }
  }
  if (prompts.empty()) {
    return absl::InvalidArgumentError(
        "--dataset-path has no conversation of two turns with a usual length");
  }
  const size_t found = prompts.size();
  while (static_cast<int64_t>(prompts.size()) < count) {
    BenchPrompt again = prompts[std::uniform_int_distribution<size_t>(0, found - 1)(random)];
    prompts.push_back(std::move(again));
  }
  return prompts;
}

}  // namespace vallm::tools
