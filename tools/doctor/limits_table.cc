#include "tools/doctor/limits_table.h"

#include <initializer_list>

namespace vallm::tools {
namespace {

constexpr int32_t k32 = 32768, k56 = 57344, k64 = 65536, k100 = 102400, k128 = 131072;

// Dense models and mixtures are told apart by hidden size, layers and experts.
struct Row {
  const char* model;
  int32_t hidden_size;
  int32_t layers;
  int32_t experts;                         // 0: dense
  std::initializer_list<int> short_sizes;  // TP sizes of 56k/64k, or of 32k
  std::initializer_list<int> long_sizes;   // of 100k/128k
  int32_t short_model_len;
};

const Row kRows[] = {
    {"Qwen3-0.6B", 1024, 28, 0, {1, 2, 4, 8}, {}, k32},
    {"Qwen3-1.7B", 2048, 28, 0, {1, 2, 4, 8}, {}, k32},
    {"Qwen3-4B", 2560, 36, 0, {1, 2}, {4, 8}, k64},
    {"Qwen3-8B", 4096, 36, 0, {2}, {4, 8}, k64},
    {"Qwen3-14B", 5120, 40, 0, {2, 4}, {8}, k64},
    {"Qwen3-32B", 5120, 64, 0, {4}, {8, 16}, k64},
    {"Qwen3-30B-A3B", 2048, 48, 128, {2}, {4, 8, 16}, k64},
    {"Qwen3-235B-A22B", 4096, 94, 128, {}, {16, 32}, k64},
};

}  // namespace

std::optional<ModelDieLimits> DieLimitsOf(const engine::ModelConfig& config) {
  const int32_t experts = config.moe.has_value() ? config.moe->num_experts : 0;
  for (const Row& row : kRows) {
    if (row.hidden_size != config.hidden_size || row.layers != config.num_layers ||
        row.experts != experts) {
      continue;
    }
    ModelDieLimits found{.model = row.model, .limits = {}};
    const int32_t short_input = row.short_model_len == k64 ? k56 : k32 - 1;
    for (int size : row.short_sizes) {
      // GPTQ and AWQ of 4 bits are the exception of the table that is left out: a TP size that a
      // plug-in does not take is refused when it loads.
      found.limits.push_back({size, short_input, row.short_model_len});
    }
    for (int size : row.long_sizes) found.limits.push_back({size, k100, k128});
    return found;
  }
  return std::nullopt;
}

}  // namespace vallm::tools
