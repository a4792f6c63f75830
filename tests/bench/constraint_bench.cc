// Time to compile constraints and to make masks along given outputs, at a real vocabulary.
//
//   constraint_bench MODEL_DIR < cases.jsonl
//   in:  {"name", "kind", "text", "output"}      out: {"name", "compile_ms", "steps", "mask_us":
//   [..],
//                                                      "warm_mask_us": [..], "accept_us": [..]}
//
// `mask_us` is per step of the first request with the constraint (nothing cached), `warm_mask_us`
// of a second one. tests/bench/constraint_bench.py runs it beside llguidance.
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "engine_service/constraint/matcher.h"
#include "nlohmann/json.hpp"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::engine {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

double Micros(Clock::time_point since) {
  return std::chrono::duration<double, std::micro>(Clock::now() - since).count();
}

// Follows `tokens`, and appends what each step took.
absl::Status Follow(const std::shared_ptr<CompiledGrammar>& grammar,
                    const std::vector<int32_t>& tokens, Json* mask_us, Json* accept_us) {
  Matcher matcher(grammar, {});
  std::vector<uint64_t> mask(MaskWords(grammar->vocabulary().mask_size()));
  for (const int32_t token : tokens) {
    auto begin = Clock::now();
    if (absl::Status status = matcher.FillMask(mask); !status.ok()) return status;
    mask_us->push_back(Micros(begin));
    begin = Clock::now();
    if (absl::Status status = matcher.Accept(token); !status.ok()) return status;
    accept_us->push_back(Micros(begin));
  }
  return matcher.IsComplete() ? absl::OkStatus() : absl::InternalError("not complete at the end");
}

Json Measure(const Json& row, const tokenizer::Tokenizer& tokenizer,
             const std::shared_ptr<const ConstraintVocabulary>& vocabulary) {
  ConstraintSpec spec;
  spec.kind = row["kind"] == "json_object" ? ConstraintSpec::Kind::kJsonObject
              : row["kind"] == "regex"     ? ConstraintSpec::Kind::kRegex
                                           : ConstraintSpec::Kind::kJsonSchema;
  spec.text = row.value("text", "");
  const auto begin = Clock::now();
  const auto grammar = CompileConstraint(spec, vocabulary);
  const double compile_ms = Micros(begin) / 1000;
  if (!grammar.ok()) return {{"name", row["name"]}, {"error", grammar.status().ToString()}};
  const auto tokens = tokenizer.Encode(row["output"].get<std::string>());
  Json result = {{"name", row["name"]},           {"compile_ms", compile_ms},
                 {"steps", tokens->size()},       {"mask_us", Json::array()},
                 {"warm_mask_us", Json::array()}, {"accept_us", Json::array()}};
  Json ignored = Json::array();
  absl::Status status = Follow(*grammar, *tokens, &result["mask_us"], &result["accept_us"]);
  if (status.ok()) status = Follow(*grammar, *tokens, &result["warm_mask_us"], &ignored);
  if (!status.ok()) result["error"] = status.ToString();
  result["memory_bytes"] = (*grammar)->memory_bytes();
  return result;
}

}  // namespace
}  // namespace vallm::engine

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: constraint_bench MODEL_DIR < cases.jsonl\n";
    return 2;
  }
  const auto tokenizer = vallm::tokenizer::Tokenizer::FromModelDir(argv[1]);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  const auto begin = vallm::engine::Clock::now();
  const int32_t eos = (*tokenizer)->TokenId("<|im_end|>").value_or(-1);
  const auto vocabulary = std::make_shared<const vallm::engine::ConstraintVocabulary>(
      vallm::engine::ConstraintVocabulary::FromTokenizer(**tokenizer, (*tokenizer)->vocab_size(),
                                                         {eos}));
  std::cout << nlohmann::json({{"vocabulary", (*tokenizer)->vocab_size()},
                               {"vocabulary_ms", vallm::engine::Micros(begin) / 1000}})
            << "\n";
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!row.is_object()) continue;
    std::cout << vallm::engine::Measure(row, **tokenizer, vocabulary) << "\n";
  }
}
