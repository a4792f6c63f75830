#include "tools/make_model/tensors.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

namespace vallm::tools {
namespace {

constexpr int64_t kBlock = 128;  // rows and columns that share an FP8 scale
constexpr double kLargestE4m3 = 448;

class Planner {
 public:
  explicit Planner(const Architecture& architecture) : a_(architecture) {}

  std::vector<TensorSpec> Plan() && {
    Bf16("model.embed_tokens.weight", {a_.vocab_size, a_.hidden_size}, FanIn(a_.hidden_size));
    for (int64_t i = 0; i < a_.num_layers; ++i) Layer(absl::StrCat("model.layers.", i));
    Norm("model.norm.weight", a_.hidden_size);
    if (!a_.tie_word_embeddings || a_.stores_tied_head) {
      Bf16("lm_head.weight", {a_.vocab_size, a_.hidden_size}, FanIn(a_.hidden_size));
      if (a_.tie_word_embeddings) tensors_.back().same_as = tensors_.front().name;
    }
    return std::move(tensors_);
  }

 private:
  static double FanIn(int64_t inputs) { return 1 / std::sqrt(static_cast<double>(inputs)); }

  void Bf16(std::string name, std::vector<int64_t> shape, double stddev, double mean = 0) {
    tensors_.push_back({.name = std::move(name),
                        .shape = std::move(shape),
                        .values = {.center = mean, .spread = stddev}});
  }

  void Norm(std::string name, int64_t size) { Bf16(std::move(name), {size}, 0.1, /*mean=*/1); }

  // A linear layer that a quantised release quantises.
  void Linear(const std::string& module, int64_t outputs, int64_t inputs) {
    const double stddev = FanIn(inputs);
    if (a_.format == WeightFormat::kBf16) {
      Bf16(module + ".weight", {outputs, inputs}, stddev);
      return;
    }
    // The largest value of the table is e4m3's largest. Scales differ from block to block, so that
    // one applied to the wrong block shows.
    tensors_.push_back({.name = module + ".weight",
                        .type = TensorType::kF8E4m3,
                        .shape = {outputs, inputs},
                        .values = {.spread = kLargestE4m3 / LargestNormal()}});
    const double scale = stddev * LargestNormal() / kLargestE4m3;
    tensors_.push_back(
        {.name = module + ".weight_scale_inv",
         .shape = {(outputs + kBlock - 1) / kBlock, (inputs + kBlock - 1) / kBlock},
         .values = {.shape = Distribution::Shape::kUniform, .center = scale, .spread = scale / 4}});
  }

  void Mlp(const std::string& module, int64_t width) {
    Linear(module + ".gate_proj", width, a_.hidden_size);
    Linear(module + ".up_proj", width, a_.hidden_size);
    Linear(module + ".down_proj", a_.hidden_size, width);
  }

  void Layer(const std::string& layer) {
    const std::string attention = layer + ".self_attn";
    const int64_t q_width = a_.num_heads * a_.head_dim;
    const int64_t kv_width = a_.num_kv_heads * a_.head_dim;
    Norm(layer + ".input_layernorm.weight", a_.hidden_size);
    Linear(attention + ".q_proj", q_width, a_.hidden_size);
    Linear(attention + ".k_proj", kv_width, a_.hidden_size);
    Linear(attention + ".v_proj", kv_width, a_.hidden_size);
    Linear(attention + ".o_proj", a_.hidden_size, q_width);
    Norm(attention + ".q_norm.weight", a_.head_dim);
    Norm(attention + ".k_norm.weight", a_.head_dim);
    Norm(layer + ".post_attention_layernorm.weight", a_.hidden_size);
    if (!a_.moe()) return Mlp(layer + ".mlp", a_.intermediate_size);
    Bf16(layer + ".mlp.gate.weight", {a_.num_experts, a_.hidden_size}, FanIn(a_.hidden_size));
    for (int64_t e = 0; e < a_.num_experts; ++e) {
      Mlp(absl::StrCat(layer, ".mlp.experts.", e), a_.moe_intermediate_size);
    }
  }

  const Architecture& a_;
  std::vector<TensorSpec> tensors_;
};

}  // namespace

int64_t TensorSpec::elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

std::vector<TensorSpec> PlanTensors(const Architecture& architecture) {
  return Planner(architecture).Plan();
}

std::vector<std::string> UnquantizedModules(const Architecture& architecture) {
  std::vector<std::string> modules = {"lm_head"};
  for (int64_t i = 0; i < architecture.num_layers; ++i) {
    const std::string layer = absl::StrCat("model.layers.", i, ".");
    modules.push_back(layer + "input_layernorm");
    if (architecture.moe()) modules.push_back(layer + "mlp.gate");
    modules.push_back(layer + "post_attention_layernorm");
  }
  std::sort(modules.begin(), modules.end());
  return modules;
}

}  // namespace vallm::tools
