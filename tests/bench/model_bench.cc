// A whole model through the engine, its worker processes and all: tokens per second, and how near
// that is to what the memory can deliver. Not a test.
//
//   model_bench MODEL_DIR WORKER_BINARY [CONFIG ...]
//
// A CONFIG is TPxTHREADS, so many ranks with so many threads each, and may say after a colon which
// CPUs they are bound to, as --worker-cpus does (1x1 1x2 2x1 unless told otherwise). For each it
// prints
//   decode 1, 4   tokens/s with so many requests, by the median of the steps; what it reads per
//   step,
//                 as a share of what as many threads read in the same run (stream-read)
//   prefill 512, 4096   prompt tokens/s, of three prompts the median, and of one
//   memory        what is resident in the workers, above their weights and KV pool
// and at the end the ratios of every config to the first.
//
// The bytes of a step are the weights it needs, each once: of a mixture of experts those experts
// that its tokens chose (with one token exactly; with more, as many as differ on average if all are
// equally likely), plus the keys and values of the context.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/mutex.h"
#include "engine_service/engine.h"
#include "engine_service/model/checkpoint.h"
#include "engine_service/model/config.h"
#include "tests/bench/stream_read.h"

namespace vallm::engine {
namespace {

constexpr int32_t kDecodePrompt = 16;
constexpr int32_t kDecodeTokens = 48;
constexpr int32_t kBatches[] = {1, 4};
constexpr int32_t kPrompts[] = {512, 4096};

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
  std::exit(1);
}

void OrDie(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// The bytes of a model's weights, by what a step or a rank has of them.
class WeightBytes {
 public:
  explicit WeightBytes(const std::string& model_dir)
      : config_(OrDie(LoadModelConfig(model_dir))),
        checkpoint_(OrDie(Checkpoint::Open(model_dir))) {
    embedding_ = Of("model.embed_tokens.weight");
    head_ = config_.tie_word_embeddings ? embedding_ : Of("lm_head.weight");
    for (int32_t i = 0; i < config_.num_layers; ++i) {
      const std::string layer = absl::StrCat("model.layers.", i, ".");
      for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
        sharded_ += Linear(absl::StrCat(layer, "self_attn.", name));
      }
      if (!config_.IsSparseLayer(i)) {
        sharded_ += Mlp(layer + "mlp");
        continue;
      }
      router_ += Of(layer + "mlp.gate.weight");
      const auto experts = static_cast<double>(config_.moe->num_experts);
      experts_ += experts * Mlp(layer + "mlp.experts.0");
    }
  }

  const ModelConfig& config() const { return config_; }

  // Read by a step with one token for each of `rows` requests.
  double OfStep(int32_t rows) const {
    double share = 0;
    if (config_.moe.has_value()) {
      const double chosen = static_cast<double>(config_.moe->experts_per_token) /
                            static_cast<double>(config_.moe->num_experts);
      share = 1 - std::pow(1 - chosen, rows);
    }
    return sharded_ + router_ + share * experts_ + head_;
  }

  // Held by one of `ranks`. The embedding is whole on every rank; where it is tied, the head is a
  // second, packed copy.
  double OfRank(int32_t ranks) const {
    return embedding_ + 2 * router_ + (sharded_ + experts_ + head_) / ranks;
  }

 private:
  double Of(const std::string& tensor) const {
    const auto view = checkpoint_->Find(tensor);
    return view.ok() ? static_cast<double>(view->data.size()) : 0;
  }
  // Whatever the format calls the parts of a linear layer.
  double Linear(const std::string& module) const {
    double bytes = 0;
    for (const char* part : {".weight", ".weight_scale_inv", ".qweight", ".qzeros", ".scales"}) {
      bytes += Of(module + part);
    }
    return bytes;
  }
  double Mlp(const std::string& module) const {
    return Linear(module + ".gate_proj") + Linear(module + ".up_proj") +
           Linear(module + ".down_proj");
  }

  const ModelConfig config_;
  const std::unique_ptr<Checkpoint> checkpoint_;
  double embedding_ = 0, head_ = 0, sharded_ = 0, router_ = 0, experts_ = 0;
};

struct Config {
  int32_t ranks = 1;
  int32_t threads = 1;
  std::string cpus = "auto";
};

struct Figures {
  double bandwidth = 0;         // bytes/s
  double decode[2] = {};        // tokens/s, of kBatches
  double decode_share[2] = {};  // of the bandwidth
  double prefill[2] = {};       // tokens/s, of kPrompts
};

class Bench {
 public:
  Bench(const WeightBytes& weights, const std::string& model_dir, const std::string& worker,
        const Config& config)
      : weights_(weights), config_(config) {
    EngineOptions options;
    options.model_dir = model_dir;
    options.worker_binary = worker;
    options.tensor_parallel_size = config.ranks;
    options.threads_per_worker = config.threads;
    options.worker_cpus = config.cpus;
    options.max_model_len = kPrompts[1] + 64;
    options.max_input_len = kPrompts[1];
    options.enable_prefix_caching = false;
    options.log_dir = "/tmp";
    options.name = absl::StrCat("model_bench-", getpid());
    const absl::Time begin = absl::Now();
    engine_ = OrDie(Engine::Create(options));
    OrDie(engine_->WaitUntilServing());
    load_time_ = absl::Now() - begin;
  }

  Figures Run() {
    Figures figures;
    Decode(1);  // warms up
    PrintMemory();
    figures.bandwidth = bench::StreamReadBandwidth(config_.ranks * config_.threads);
    for (size_t i = 0; i < 2; ++i) {
      const double seconds = Decode(kBatches[i]);
      figures.decode[i] = kBatches[i] / seconds;
      figures.decode_share[i] = weights_.OfStep(kBatches[i]) / seconds / figures.bandwidth;
    }
    for (size_t i = 0; i < 2; ++i) figures.prefill[i] = Prefill(kPrompts[i]);
    return figures;
  }

 private:
  std::vector<int32_t> RandomIds(int32_t count) {
    std::vector<int32_t> ids;
    const auto vocab = static_cast<uint32_t>(weights_.config().vocab_size);
    for (int32_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(random_() % vocab));
    return ids;
  }

  GenerationRequest RequestOf(int32_t prompt, int32_t max_tokens) {
    GenerationRequest request;
    request.prompt_ids = RandomIds(prompt);
    request.sampling.temperature = 0.0f;
    request.max_tokens = max_tokens;
    request.ignore_eos = true;
    return request;
  }

  // Seconds of a step that gives `batch` requests a token each, all of the engine's own work
  // included.
  double Decode(int32_t batch) {
    std::vector<double> seconds;
    Mutex mu;
    engine_->SetStepListener([&](const StepStats& step) {
      MutexLock lock(mu);
      if (step.prompt_tokens > 0 || step.sampled_tokens != batch) return;
      seconds.push_back(
          absl::ToDoubleSeconds(step.model_time + step.sampling_time + step.schedule_time));
    });
    std::vector<GenerationRequest> requests;
    for (int32_t i = 0; i < batch; ++i) requests.push_back(RequestOf(kDecodePrompt, kDecodeTokens));
    for (auto& answer : engine_->GenerateAll(std::move(requests))) {
      OrDie(OrDie(std::move(answer)).completion.status);
    }
    engine_->SetStepListener(nullptr);
    return Median(seconds);
  }

  // Prompt tokens per second, from the first step to the first token.
  double Prefill(int32_t prompt) {
    std::vector<double> rates;
    const int rounds = prompt < 1024 ? 3 : 1;  // the long one takes half a minute on a core
    for (int i = 0; i < rounds; ++i) {
      const Generation generation = OrDie(engine_->Generate(RequestOf(prompt, 1)));
      OrDie(generation.completion.status);
      rates.push_back(prompt / absl::ToDoubleSeconds(generation.completion.usage.prefill_time));
    }
    return Median(rates);
  }

  void PrintMemory() const {
    const double kv_bytes = KvBytes();
    for (const pid_t pid : engine_->worker_pids()) {
      double total = 0, anonymous = 0;
      std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
      for (std::string line; std::getline(file, line);) {
        long long kib = 0;
        if (std::sscanf(line.c_str(), "VmRSS: %lld", &kib) == 1) total = 1024.0 * kib;
        if (std::sscanf(line.c_str(), "RssAnon: %lld", &kib) == 1) anonymous = 1024.0 * kib;
      }
      const double wanted = weights_.OfRank(config_.ranks) + kv_bytes;
      std::printf(
          "%dx%d  loaded in %.1f s; worker %d: %.0f MB resident (%.0f MB anonymous), weights %.0f "
          "MB "
          "and KV pool %.0f MB: %+.1f %%\n",
          config_.ranks, config_.threads, absl::ToDoubleSeconds(load_time_), pid, total / 1e6,
          anonymous / 1e6, weights_.OfRank(config_.ranks) / 1e6, kv_bytes / 1e6,
          100 * (total / wanted - 1));
    }
    std::fflush(stdout);
  }

  // Of one rank's share of the pool, f32.
  double KvBytes() const {
    const ModelConfig& model = weights_.config();
    const int32_t heads = std::max(1, model.num_kv_heads / config_.ranks);
    return 2.0 * model.num_layers * heads * model.head_dim * sizeof(float) *
           static_cast<double>(engine_->model_info().kv_cache_tokens);
  }

  const WeightBytes& weights_;
  const Config config_;
  std::mt19937 random_{1};
  std::unique_ptr<Engine> engine_;
  absl::Duration load_time_;
};

Config ParseConfig(const std::string& text) {
  const std::vector<std::string> halves = absl::StrSplit(text, absl::MaxSplits(':', 1));
  const std::vector<std::string> parts = absl::StrSplit(halves[0], 'x');
  Config config;
  if (halves.size() == 2) config.cpus = halves[1];
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &config.ranks) ||
      !absl::SimpleAtoi(parts[1], &config.threads)) {
    std::fprintf(stderr, "'%s' is not TPxTHREADS or TPxTHREADS:CPUS\n", text.c_str());
    std::exit(2);
  }
  return config;
}

void PrintTable(const std::vector<Config>& configs, const std::vector<Figures>& all) {
  std::printf("\n%-6s %11s | %9s %7s | %9s %7s | %9s | %9s\n", "TPxthr", "stream-read", "decode 1",
              "", "decode 4", "", "pp 512", "pp 4096");
  for (size_t i = 0; i < all.size(); ++i) {
    const Figures& f = all[i];
    std::printf(
        "%-6s %6.1f GB/s | %5.1f t/s %5.1f %% | %5.1f t/s %5.1f %% | %5.0f t/s | %5.0f t/s\n",
        absl::StrCat(configs[i].ranks, "x", configs[i].threads).c_str(), f.bandwidth / 1e9,
        f.decode[0], 100 * f.decode_share[0], f.decode[1], 100 * f.decode_share[1], f.prefill[0],
        f.prefill[1]);
  }
  for (size_t i = 1; i < all.size(); ++i) {
    const Figures& f = all[i];
    const Figures& first = all[0];
    const double bandwidth = f.bandwidth / first.bandwidth;
    std::printf(
        "%dx%d over %dx%d: stream-read %.2f x, decode %.2f x (%.0f %% of that), prefill 512 %.2f "
        "x, "
        "prefill 4096 %.2f x\n",
        configs[i].ranks, configs[i].threads, configs[0].ranks, configs[0].threads, bandwidth,
        f.decode[0] / first.decode[0], 100 * f.decode[0] / first.decode[0] / bandwidth,
        f.prefill[0] / first.prefill[0], f.prefill[1] / first.prefill[1]);
  }
}

int Main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: model_bench MODEL_DIR WORKER_BINARY [TPxTHREADS ...]\n");
    return 2;
  }
  std::vector<Config> configs;
  for (int i = 3; i < argc; ++i) configs.push_back(ParseConfig(argv[i]));
  if (configs.empty()) configs = {{.threads = 1}, {.threads = 2}, {.ranks = 2}};
  const WeightBytes weights(argv[1]);
  std::printf("weights read per step: %.0f MB with one request, %.0f MB with four\n",
              weights.OfStep(1) / 1e6, weights.OfStep(4) / 1e6);
  std::vector<Figures> all;
  for (const Config& config : configs)
    all.push_back(Bench(weights, argv[1], argv[2], config).Run());
  PrintTable(configs, all);
  return 0;
}

}  // namespace
}  // namespace vallm::engine

int main(int argc, char** argv) { return vallm::engine::Main(argc, argv); }
