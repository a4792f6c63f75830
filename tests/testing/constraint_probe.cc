// Asks the constraint engine from outside, for tests against other implementations: one JSON object
// per line in, one per line out.
//
//   constraint_probe [MODEL_DIR]     the vocabulary; without one: the 256 single bytes
//
//   in:  {"kind": "json_schema|json_object|regex|choice|grammar|tools", "text": ..., "choices":
//   ...,
//         "match": [texts], "walks": N, "seed": N, "max_tokens": N}
//   out: {"error": ...} or {"matches": [bool], "walks": [{"text", "complete"}], "compile_ms"}
//
// A walk takes random tokens that the mask allows; behind max_tokens it takes the ones that bring
// the answer to an end soonest: quotes, brackets and end-of-sequence before anything else.
#include <cstdint>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine_service/constraint/matcher.h"
#include "nlohmann/json.hpp"
#include "tests/testing/constraint_vocabulary.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::engine {
namespace {

using Json = nlohmann::json;

ConstraintSpec::Kind KindNamed(const std::string& name) {
  if (name == "json_schema") return ConstraintSpec::Kind::kJsonSchema;
  if (name == "regex") return ConstraintSpec::Kind::kRegex;
  if (name == "choice") return ConstraintSpec::Kind::kChoice;
  if (name == "grammar") return ConstraintSpec::Kind::kGrammar;
  if (name == "tools") return ConstraintSpec::Kind::kTools;
  return ConstraintSpec::Kind::kJsonObject;
}

// Of the tokens that `mask` allows, one at random; when in a hurry, an ending one if there is any.
int32_t Pick(const std::vector<uint64_t>& mask, const ConstraintVocabulary& vocabulary, bool hurry,
             std::mt19937_64* random) {
  std::vector<int32_t> allowed;
  std::vector<int32_t> ending;
  for (int32_t id = 0; id < vocabulary.mask_size(); ++id) {
    if (((mask[id / 64] >> (id % 64)) & 1) == 0) continue;
    allowed.push_back(id);
    const std::string_view text = vocabulary.TextOf(id);
    const bool ends = vocabulary.IsEos(id) || text == "\"" || text == "]" || text == "}";
    if (ends) ending.push_back(id);
  }
  if (hurry && !ending.empty()) return ending[(*random)() % ending.size()];
  return allowed[(*random)() % allowed.size()];
}

Json Walk(const std::shared_ptr<CompiledGrammar>& grammar, uint64_t seed, int max_tokens) {
  const ConstraintVocabulary& vocabulary = grammar->vocabulary();
  std::mt19937_64 random(seed);
  Matcher matcher(grammar, {});
  std::vector<uint64_t> mask(MaskWords(vocabulary.mask_size()));
  std::string text;
  for (int n = 0; n < 50 * max_tokens; ++n) {
    if (const absl::Status filled = matcher.FillMask(mask); !filled.ok()) {
      return {{"error", filled.ToString()}};
    }
    const int32_t token = Pick(mask, vocabulary, n >= max_tokens, &random);
    if (const absl::Status accepted = matcher.Accept(token); !accepted.ok()) {
      return {{"error", accepted.ToString()}};
    }
    if (vocabulary.IsEos(token)) return {{"text", text}, {"complete", true}};
    text += vocabulary.TextOf(token);
  }
  return {{"text", text}, {"complete", false}};
}

Json Answer(const Json& row, const std::shared_ptr<const ConstraintVocabulary>& vocabulary) {
  ConstraintSpec spec;
  spec.kind = KindNamed(row.value("kind", ""));
  spec.text = row.value("text", "");
  spec.tools = row.value("tools", "");
  spec.choices = row.value("choices", std::vector<std::string>());
  const auto grammar = CompileConstraint(spec, vocabulary);
  if (!grammar.ok()) return {{"error", grammar.status().ToString()}};
  Json result = {{"matches", Json::array()}, {"walks", Json::array()}};
  for (const Json& text : row.value("match", Json::array())) {
    result["matches"].push_back((*grammar)->Matches(text.get<std::string>()));
  }
  for (int i = 0; i < row.value("walks", 0); ++i) {
    result["walks"].push_back(
        Walk(*grammar, row.value("seed", uint64_t{0}) + i, row.value("max_tokens", 100)));
  }
  return result;
}

}  // namespace
}  // namespace vallm::engine

int main(int argc, char** argv) {
  std::shared_ptr<const vallm::engine::ConstraintVocabulary> vocabulary;
  if (argc > 1) {
    const auto tokenizer = vallm::tokenizer::Tokenizer::FromModelDir(argv[1]);
    if (!tokenizer.ok()) {
      std::cerr << tokenizer.status() << "\n";
      return 1;
    }
    const int32_t eos = (*tokenizer)->TokenId("<|im_end|>").value_or(-1);
    vocabulary = std::make_shared<vallm::engine::ConstraintVocabulary>(
        vallm::engine::ConstraintVocabulary::FromTokenizer(**tokenizer, (*tokenizer)->vocab_size(),
                                                           {eos}));
  } else {
    vocabulary = vallm::engine::MakeVocabulary({});
  }
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const nlohmann::json answer = row.is_object() ? vallm::engine::Answer(row, vocabulary)
                                                  : nlohmann::json{{"error", "not an object"}};
    std::cout << answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  }
}
