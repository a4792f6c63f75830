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
constexpr int64_t kGroup = 128;  // inputs that share a scale of GPTQ or AWQ
constexpr double kLargestE4m3 = 448;
constexpr Distribution kRandomBits{.shape = Distribution::Shape::kBits, .mask = 0xFFFFFFFF};

class Planner {
 public:
  explicit Planner(const Architecture& architecture) : a_(architecture) {}

  std::vector<TensorSpec> Plan() && {
    Plain("model.embed_tokens.weight", {a_.vocab_size, a_.hidden_size}, FanIn(a_.hidden_size));
    for (int64_t i = 0; i < a_.num_layers; ++i) Layer(absl::StrCat("model.layers.", i));
    Norm("model.norm.weight", a_.hidden_size);
    if (!a_.tie_word_embeddings || a_.stores_tied_head) {
      Plain("lm_head.weight", {a_.vocab_size, a_.hidden_size}, FanIn(a_.hidden_size));
      if (a_.tie_word_embeddings) {
        tensors_.back().same_as = tensors_.front().name;
        tensors_.back().parameters = 0;
      }
    }
    return std::move(tensors_);
  }

 private:
  static double FanIn(int64_t inputs) { return 1 / std::sqrt(static_cast<double>(inputs)); }

  // Everything that is not quantised is f16 beside integers.
  bool integers() const {
    return a_.format != WeightFormat::kBf16 && a_.format != WeightFormat::kFp8;
  }

  TensorSpec& Add(std::string name, TensorType type, std::vector<int64_t> shape,
                  const Distribution& values) {
    tensors_.push_back(
        {.name = std::move(name), .type = type, .shape = std::move(shape), .values = values});
    return tensors_.back();
  }

  TensorSpec& Plain(std::string name, std::vector<int64_t> shape, double stddev, double mean = 0) {
    TensorSpec& tensor = Add(std::move(name), integers() ? TensorType::kF16 : TensorType::kBf16,
                             std::move(shape), {.center = mean, .spread = stddev});
    tensor.parameters = tensor.elements();
    return tensor;
  }

  void Norm(std::string name, int64_t size) { Plain(std::move(name), {size}, 0.1, /*mean=*/1); }

  // A linear layer that a quantised release quantises.
  void Linear(const std::string& module, int64_t outputs, int64_t inputs) {
    const double stddev = FanIn(inputs);
    switch (a_.format) {
      case WeightFormat::kBf16:
        Plain(module + ".weight", {outputs, inputs}, stddev);
        return;
      case WeightFormat::kFp8:
        return Fp8(module, outputs, inputs, stddev);
      case WeightFormat::kGptqInt4:
        return Gptq(module, outputs, inputs, stddev, /*bits=*/4);
      case WeightFormat::kGptqInt8:
        return Gptq(module, outputs, inputs, stddev, /*bits=*/8);
      case WeightFormat::kAwq:
        return Awq(module, outputs, inputs, stddev);
    }
  }

  // Scales differ from block to block and group to group, so that one applied to the wrong block
  // shows.
  static Distribution Scales(double scale) {
    return {.shape = Distribution::Shape::kUniform, .center = scale, .spread = scale / 4};
  }

  void Fp8(const std::string& module, int64_t outputs, int64_t inputs, double stddev) {
    // The largest value of the table is e4m3's largest.
    Add(module + ".weight", TensorType::kF8E4m3, {outputs, inputs},
        {.spread = kLargestE4m3 / LargestNormal()})
        .parameters = outputs * inputs;
    Add(module + ".weight_scale_inv", TensorType::kBf16,
        {(outputs + kBlock - 1) / kBlock, (inputs + kBlock - 1) / kBlock},
        Scales(stddev * LargestNormal() / kLargestE4m3));
  }

  // The scale with which uniform integers of so many bits have that deviation.
  static double IntegerScale(double stddev, int64_t bits) {
    return stddev * std::sqrt(12.0) / std::ldexp(1, static_cast<int>(bits));
  }

  // Words hold consecutive inputs. Symmetric: zero points are the middle, stored less one.
  void Gptq(const std::string& module, int64_t outputs, int64_t inputs, double stddev,
            int64_t bits) {
    const int64_t groups = (inputs + kGroup - 1) / kGroup;
    const int64_t per_word = 32 / bits;
    Add(module + ".qweight", TensorType::kI32, {inputs / per_word, outputs}, kRandomBits)
        .parameters = outputs * inputs;
    Add(module + ".qzeros", TensorType::kI32, {groups, outputs / per_word},
        {.shape = Distribution::Shape::kBits, .base = bits == 4 ? 0x77777777u : 0x7F7F7F7Fu});
    Add(module + ".scales", TensorType::kF16, {groups, outputs},
        Scales(IntegerScale(stddev, bits)));
    Add(module + ".g_idx", TensorType::kI32, {inputs},
        {.shape = Distribution::Shape::kGroupIndex, .base = static_cast<uint32_t>(kGroup)});
  }

  // Words hold eight outputs; zero points are 7 or 8.
  void Awq(const std::string& module, int64_t outputs, int64_t inputs, double stddev) {
    const int64_t groups = (inputs + kGroup - 1) / kGroup;
    Add(module + ".qweight", TensorType::kI32, {inputs, outputs / 8}, kRandomBits).parameters =
        outputs * inputs;
    Add(module + ".qzeros", TensorType::kI32, {groups, outputs / 8},
        {.shape = Distribution::Shape::kBits, .base = 0x77777777, .mask = 0x11111111});
    Add(module + ".scales", TensorType::kF16, {groups, outputs}, Scales(IntegerScale(stddev, 4)));
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
    Plain(layer + ".mlp.gate.weight", {a_.num_experts, a_.hidden_size}, FanIn(a_.hidden_size));
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
