// Single-thread speed of the tokenizer: tokenizer_bench MODEL_DIR CORPUS.jsonl [ROUNDS].
// The corpus has one JSON string per line (tests/data/conformance/corpus_gen.py makes one); prints
// the best round.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/testing/jsonl.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace {

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL_DIR CORPUS.jsonl [ROUNDS]\n", argv[0]);
    return 2;
  }
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 3;
  auto start = std::chrono::steady_clock::now();
  const auto tokenizer = vallm::tokenizer::Tokenizer::FromModelDir(argv[1]);
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "%s\n", tokenizer.status().ToString().c_str());
    return 1;
  }
  std::printf("load %.3f s\n", Seconds(start));

  std::vector<std::string> documents;
  size_t bytes = 0;
  for (const auto& row : vallm::testing::ReadJsonl(argv[2])) {
    documents.push_back(row.get<std::string>());
    bytes += documents.back().size();
  }
  double best = 1e30;
  size_t tokens = 0;
  uint64_t checksum = 0;
  for (int round = 0; round < rounds; ++round) {
    tokens = 0;
    checksum = 0;
    start = std::chrono::steady_clock::now();
    for (const std::string& document : documents) {
      const auto ids = (*tokenizer)->Encode(document);
      if (!ids.ok()) {
        std::fprintf(stderr, "%s\n", ids.status().ToString().c_str());
        return 1;
      }
      tokens += ids->size();
      for (const int32_t id : *ids) checksum = checksum * 1000003 + static_cast<uint64_t>(id);
    }
    best = std::min(best, Seconds(start));
  }
  std::printf("%zu documents, %zu bytes, %zu tokens, %.3f s, %.2f MB/s, checksum %016llx\n",
              documents.size(), bytes, tokens, best, static_cast<double>(bytes) / best / 1e6,
              static_cast<unsigned long long>(checksum));
  return 0;
}
