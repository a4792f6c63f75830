#include "tools/make_model/make_model_command.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "common/usable_cores.h"
#include "tools/make_model/architecture.h"
#include "tools/make_model/make_model.h"
#include "tools/make_model/tensors.h"

namespace vallm::tools {
namespace {

constexpr char kProgram[] = "vallm make-model";
constexpr char kExamples[] =
    "  vallm make-model --list\n"
    "  vallm make-model /tmp/model --like Qwen3-30B-A3B-FP8 --layers 4 --seed 1\n"
    "  vallm make-model /tmp/tiny --like Qwen3-0.6B --layers 2 --hidden-size 256 \\\n"
    "    --num-attention-heads 8 --intermediate-size 768 --vocab-size 1024\n"
    "  vallm make-model /tmp/model --like Qwen3-8B --layers 8 --tokenizer-from ./Qwen3-8B\n";

// One dimension of the architecture, replaced if given.
struct Override {
  const char* flag;
  const char* description;
  int64_t Architecture::*field;
  bool moe_only = false;
  std::optional<int64_t> value = std::nullopt;
};

std::vector<Override> Overrides() {
  using A = Architecture;
  return {
      {"--layers,--num-hidden-layers", "Layers", &A::num_layers},
      {"--vocab-size", "Rows of the embedding, at least 282", &A::vocab_size},
      {"--hidden-size", "Width of the residual stream", &A::hidden_size},
      {"--intermediate-size", "Width of a dense MLP", &A::intermediate_size},
      {"--num-attention-heads", "Query heads", &A::num_heads},
      {"--num-key-value-heads", "KV heads", &A::num_kv_heads},
      {"--head-dim", "Width of a head", &A::head_dim},
      {"--max-position-embeddings", "Positions", &A::max_position_embeddings},
      {"--num-experts", "Experts of a layer", &A::num_experts, true},
      {"--num-experts-per-tok", "Experts that a token uses", &A::experts_per_token, true},
      {"--moe-intermediate-size", "Width of an expert", &A::moe_intermediate_size, true},
  };
}

struct Flags {
  MakeModelOptions make;
  std::string like;
  std::vector<Override> overrides = Overrides();
  bool list = false;
};

void AddFlags(CLI::App& app, Flags& flags) {
  app.add_option("OUT_DIR,--out", flags.make.out_dir, "Directory to write, new or empty");
  app.add_option("--like", flags.like, "Release to imitate; --list names them");
  app.add_flag("--list", flags.list, "List the releases and leave");
  app.add_option("--seed", flags.make.seed, "Seed of the weights")->capture_default_str();
  for (Override& override : flags.overrides) {
    app.add_option(override.flag, override.value,
                   std::string(override.description) + " (default: the release's)")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  }
  app.add_option(
      "--tokenizer-from", flags.make.tokenizer_from,
      "Model directory whose tokenizer to copy (default: make one of bytes and merges of "
      "letters)");
  app.add_option("--max-shard-gb", flags.make.max_shard_gb, "Largest file of weights, in GB")
      ->check(CLI::Range(1e-6, 1e6))
      ->capture_default_str();
  app.add_option("--threads", flags.make.threads, "Threads (default: all usable cores)")
      ->check(CLI::Range(1, 1024));
  app.add_flag("--force", flags.make.force, "Replace the model that is in OUT_DIR");
}

// "3.74 G", "512 k": three digits and a decimal prefix.
std::string Short(int64_t count) {
  const auto value = static_cast<double>(count);
  if (value >= 1e9) return absl::StrFormat("%.2f G", value / 1e9);
  if (value >= 1e6) return absl::StrFormat("%.2f M", value / 1e6);
  return absl::StrFormat("%.0f k", value / 1e3);
}

int List() {
  std::printf("%-40s %7s %7s %8s %9s\n", "release", "layers", "hidden", "experts", "weights");
  for (const Architecture& release : Releases()) {
    int64_t bytes = 0;
    for (const TensorSpec& tensor : PlanTensors(release)) bytes += tensor.bytes();
    std::printf("%s",
                absl::StrFormat("%-40s %7d %7d %8s %6.1f GB\n", release.name, release.num_layers,
                                release.hidden_size,
                                release.moe() ? absl::StrFormat("%d", release.num_experts) : "-",
                                static_cast<double>(bytes) / 1e9)
                    .c_str());
  }
  return 0;
}

// A bar on a terminal, drawn ten times a second.
class ProgressBar {
 public:
  ProgressBar() : terminal_(isatty(STDERR_FILENO) != 0), begin_(absl::Now()) {}

  void Show(int64_t done, int64_t total) {
    const absl::Time now = absl::Now();
    if (!terminal_ || (done < total && now - drawn_ < absl::Milliseconds(100))) return;
    drawn_ = now;
    constexpr int kWidth = 40;
    const double part = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
    const std::string filled(static_cast<size_t>(part * kWidth), '#');
    std::fprintf(
        stderr, "\r%s\033[K%s",
        absl::StrFormat("[%-*s] %3.0f %%  %.2f of %.2f GB  %.2f GB/s", kWidth, filled, 100 * part,
                        static_cast<double>(done) / 1e9, static_cast<double>(total) / 1e9,
                        static_cast<double>(done) / 1e9 / absl::ToDoubleSeconds(now - begin_))
            .c_str(),
        done == total ? "\n" : "");
  }

  absl::Time begin() const { return begin_; }

 private:
  const bool terminal_;
  const absl::Time begin_;
  absl::Time drawn_ = absl::InfinitePast();
};

absl::Status ApplyOverrides(const std::vector<Override>& overrides, Architecture& architecture) {
  for (const Override& override : overrides) {
    if (!override.value.has_value()) continue;
    if (override.moe_only && !architecture.moe()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: %s is a dense model", override.flag, architecture.name));
    }
    architecture.*override.field = *override.value;
  }
  return absl::OkStatus();
}

absl::Status Make(Flags& flags) {
  MakeModelOptions& options = flags.make;
  VALLM_ASSIGN_OR_RETURN(options.architecture, FindRelease(flags.like));
  VALLM_RETURN_IF_ERROR(ApplyOverrides(flags.overrides, options.architecture));
  ProgressBar bar;
  options.progress = [&bar](int64_t done, int64_t total) { bar.Show(done, total); };
  VALLM_ASSIGN_OR_RETURN(const MadeModel made, MakeModel(options));
  std::printf("%s",
              absl::StrFormat("%s: like %s, %d layers, %s parameters, %sB in %d file%s, "
                              "seed %d, %.1f s\n",
                              options.out_dir, options.architecture.name,
                              options.architecture.num_layers, Short(made.parameters),
                              Short(made.weight_bytes), made.files, made.files == 1 ? "" : "s",
                              options.seed, absl::ToDoubleSeconds(absl::Now() - bar.begin()))
                  .c_str());
  return absl::OkStatus();
}

}  // namespace

int RunMakeModel(int argc, char** argv) {
  Flags flags;
  flags.make.threads = UsableCores();
  FlagParser parser(
      kProgram,
      "Writes a checkpoint with random weights in the layout of a public release: the "
      "same files, tensor names, shapes and types. What it generates means nothing; "
      "it is for testing and measuring real shapes.",
      kExamples);
  AddFlags(parser.app(), flags);
  if (auto exit_code = parser.Parse(argc, argv)) return *exit_code;
  if (flags.list) return List();
  if (flags.make.out_dir.empty() || flags.like.empty()) {
    std::fprintf(stderr, "%s: OUT_DIR and --like are required (--list names the releases)\n",
                 kProgram);
    return 2;
  }
  const absl::Status status = Make(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", kProgram, std::string(status.message()).c_str());
  return 1;
}

}  // namespace vallm::tools
