#include "tools/make_model/architecture.h"

#include <algorithm>
#include <cctype>
#include <tuple>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/strings.h"

namespace vallm::tools {
namespace {

constexpr SamplingConfig kThinking{.temperature = 0.6, .top_p = 0.95};
constexpr SamplingConfig kInstruct{.temperature = 0.7, .top_p = 0.8};
constexpr SamplingConfig kCoder{.temperature = 0.7, .top_p = 0.8, .repetition_penalty = 1.05};

// A size of the family: what its releases have in common.
Architecture Dense(int64_t hidden, int64_t layers, int64_t heads, int64_t intermediate, bool tied) {
  return {.hidden_size = hidden,
          .num_layers = layers,
          .num_heads = heads,
          .num_kv_heads = 8,
          .intermediate_size = intermediate,
          .tie_word_embeddings = tied};
}

Architecture Moe(int64_t hidden, int64_t layers, int64_t heads, int64_t kv_heads,
                 int64_t intermediate, int64_t experts, int64_t moe_intermediate) {
  return {.hidden_size = hidden,
          .num_layers = layers,
          .num_heads = heads,
          .num_kv_heads = kv_heads,
          .intermediate_size = intermediate,
          .num_experts = experts,
          .experts_per_token = 8,
          .moe_intermediate_size = moe_intermediate};
}

// A release for long contexts: 262144 positions without scaling.
Architecture Long(Architecture size, double rope_theta, const SamplingConfig& sampling) {
  size.max_position_embeddings = 262144;
  size.rope_theta = rope_theta;
  size.sampling = sampling;
  return size;
}

std::vector<Architecture> MakeReleases() {
  std::vector<Architecture> releases;
  using Format = WeightFormat;
  const auto add = [&](const std::string& name, Architecture release,
                       std::initializer_list<Format> quantized = {}) {
    const auto add_format = [&](const char* suffix, Format format) {
      release.name = name + suffix;
      release.format = format;
      releases.push_back(release);
    };
    add_format("", Format::kBf16);
    add_format("-FP8", Format::kFp8);
    for (const Format format : quantized) {
      add_format(format == Format::kAwq        ? "-AWQ"
                 : format == Format::kGptqInt4 ? "-GPTQ-Int4"
                                               : "-GPTQ-Int8",
                 format);
    }
  };
  const Architecture size_4b = Dense(2560, 36, 32, 9728, /*tied=*/true);
  const Architecture size_30b = Moe(2048, 48, 32, 4, 6144, 128, 768);
  const Architecture size_235b = Moe(4096, 94, 64, 4, 12288, 128, 1536);
  for (const auto& [name, hidden, intermediate] :
       {std::tuple("Qwen3-0.6B", 1024, 3072), std::tuple("Qwen3-1.7B", 2048, 6144)}) {
    Architecture size = Dense(hidden, 28, 16, intermediate, /*tied=*/true);
    size.stores_tied_head = true;
    add(name, size, {Format::kGptqInt8});
  }
  add("Qwen3-4B", size_4b, {Format::kGptqInt4, Format::kGptqInt8, Format::kAwq});
  add("Qwen3-4B-Instruct-2507", Long(size_4b, 5e6, kInstruct));
  add("Qwen3-4B-Thinking-2507", Long(size_4b, 5e6, kThinking));
  add("Qwen3-8B", Dense(4096, 36, 32, 12288, /*tied=*/false), {Format::kAwq});
  add("Qwen3-14B", Dense(5120, 40, 40, 17408, /*tied=*/false), {Format::kAwq});
  add("Qwen3-32B", Dense(5120, 64, 64, 25600, /*tied=*/false), {Format::kAwq});
  add("Qwen3-30B-A3B", size_30b, {Format::kGptqInt4});
  add("Qwen3-30B-A3B-Instruct-2507", Long(size_30b, 1e7, kInstruct));
  add("Qwen3-30B-A3B-Thinking-2507", Long(size_30b, 1e7, kThinking));
  add("Qwen3-Coder-30B-A3B-Instruct", Long(Moe(2048, 48, 32, 4, 5472, 128, 768), 1e7, kCoder));
  add("Qwen3-235B-A22B", size_235b, {Format::kGptqInt4});
  add("Qwen3-235B-A22B-Instruct-2507", Long(size_235b, 5e6, kInstruct));
  add("Qwen3-235B-A22B-Thinking-2507", Long(size_235b, 5e6, kThinking));
  add("Qwen3-Coder-480B-A35B-Instruct", Long(Moe(6144, 62, 96, 8, 8192, 160, 2560), 1e7, kCoder));
  return releases;
}

std::string Folded(std::string_view name) {
  if (const size_t slash = name.rfind('/'); slash != name.npos) name.remove_prefix(slash + 1);
  std::string folded(name);
  std::transform(folded.begin(), folded.end(), folded.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return folded;
}

size_t CommonPrefix(const std::string& a, const std::string& b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                             a.begin());
}

}  // namespace

const std::vector<Architecture>& Releases() {
  static const auto& releases = *new std::vector<Architecture>(MakeReleases());
  return releases;
}

absl::StatusOr<Architecture> FindRelease(std::string_view name) {
  const std::string wanted = Folded(name);
  std::vector<std::string> closest;
  size_t longest = 0;
  for (const Architecture& release : Releases()) {
    const std::string candidate = Folded(release.name);
    if (candidate == wanted) return release;
    const size_t common = CommonPrefix(candidate, wanted);
    if (common > longest) closest.clear();
    longest = std::max(longest, common);
    if (common == longest) closest.push_back(release.name);
  }
  return absl::NotFoundError(absl::StrCat("'", ToAbsl(name),
                                          "' is not a release that make-model knows; closest: ",
                                          absl::StrJoin(closest, ", "), "; --list names all"));
}

}  // namespace vallm::tools
