// Speed and size of the tokenizer on one thread: tokenizer_bench MODEL_DIR CORPUS.jsonl [ROUNDS].
// The corpus has one JSON string per line (tests/data/conformance/corpus_gen.py makes one). Prints
// one JSON object with the best round of everything. Times are CPU times of the thread, so that
// other jobs on the machine count as little as they can. tokenizer_peers.py runs it beside peers.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/testing/jsonl.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace {

using vallm::tokenizer::Tokenizer;

constexpr size_t kLongTextBytes = 2'000'000;

double Seconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double CpuSeconds() { return Seconds(CLOCK_THREAD_CPUTIME_ID); }

double Best(int rounds, const std::function<void()>& run) {
  double best = 1e30;
  for (int round = 0; round < rounds; ++round) {
    const double start = CpuSeconds();
    run();
    best = std::min(best, CpuSeconds() - start);
  }
  return best;
}

double ResidentMb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atof(line.c_str() + 6) / 1024;
  }
  return 0;
}

std::vector<int32_t> Encode(const Tokenizer& tokenizer, const std::string& text) {
  auto ids = tokenizer.Encode(text);
  if (!ids.ok()) {
    std::fprintf(stderr, "%s\n", ids.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(ids);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL_DIR CORPUS.jsonl [ROUNDS]\n", argv[0]);
    return 2;
  }
  const int rounds = argc > 3 ? std::max(1, std::atoi(argv[3])) : 3;
  const double resident_before = ResidentMb();
  const double load_start = Seconds(CLOCK_MONOTONIC);
  const double load_cpu_start = Seconds(CLOCK_PROCESS_CPUTIME_ID);
  const auto loaded = Tokenizer::FromModelDir(argv[1]);
  if (!loaded.ok()) {
    std::fprintf(stderr, "%s\n", loaded.status().ToString().c_str());
    return 1;
  }
  const Tokenizer& tokenizer = **loaded;
  Encode(tokenizer, "e\u0301");  // tables made on first use are a part of it
  const double load_s = Seconds(CLOCK_MONOTONIC) - load_start;
  const double load_cpu_s = Seconds(CLOCK_PROCESS_CPUTIME_ID) - load_cpu_start;
  const double resident_mb = ResidentMb() - resident_before;

  std::vector<std::string> documents;
  std::string long_text;
  size_t bytes = 0;
  for (const auto& row : vallm::testing::ReadJsonl(argv[2])) {
    documents.push_back(row.get<std::string>());
    bytes += documents.back().size();
    if (long_text.size() < kLongTextBytes) long_text += documents.back();
  }
  const std::string long_run(kLongTextBytes, 'a');

  std::vector<int32_t> all_ids;
  for (const std::string& document : documents) {
    const std::vector<int32_t> ids = Encode(tokenizer, document);
    all_ids.insert(all_ids.end(), ids.begin(), ids.end());
  }
  const double encode_s = Best(rounds, [&] {
    for (const std::string& document : documents) Encode(tokenizer, document);
  });
  uint64_t checksum = 0;
  for (const int32_t id : all_ids) checksum = checksum * 1000003 + static_cast<uint64_t>(id);
  const double long_s = Best(rounds, [&] { Encode(tokenizer, long_text); });
  const double run_s = Best(rounds, [&] { Encode(tokenizer, long_run); });
  size_t decoded_bytes = 0;
  const double decode_s = Best(rounds, [&] {
    std::string text;
    for (const int32_t id : all_ids) text.append(tokenizer.TokenBytes(id));
    decoded_bytes = text.size();
  });

  const auto mb_s = [](size_t n, double seconds) { return static_cast<double>(n) / seconds / 1e6; };
  std::printf(
      "{\"documents\": %zu, \"bytes\": %zu, \"tokens\": %zu, \"checksum\": \"%016llx\", "
      "\"load_s\": %.3f, \"load_cpu_s\": %.3f, \"resident_mb\": %.1f, \"encode_mb_s\": %.2f, "
      "\"one_long_text_mb_s\": %.2f, \"one_long_word_mb_s\": %.2f, \"decode_us_per_token\": %.4f, "
      "\"decoded_bytes\": %zu}\n",
      documents.size(), bytes, all_ids.size(), static_cast<unsigned long long>(checksum), load_s,
      load_cpu_s, resident_mb, mb_s(bytes, encode_s), mb_s(long_text.size(), long_s),
      mb_s(long_run.size(), run_s), decode_s / static_cast<double>(all_ids.size()) * 1e6,
      decoded_bytes);
  return 0;
}
