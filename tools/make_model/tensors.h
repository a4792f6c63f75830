// Which tensors a checkpoint of an architecture has: names, types and shapes as in the public
// release, values random such that activations stay sane (every product keeps the variance of its
// input, norms are about 1).
#ifndef VALLM_TOOLS_MAKE_MODEL_TENSORS_H_
#define VALLM_TOOLS_MAKE_MODEL_TENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/make_model/architecture.h"
#include "tools/make_model/random_values.h"

namespace vallm::tools {

struct TensorSpec {
  std::string name = {};
  TensorType type = TensorType::kBf16;
  std::vector<int64_t> shape = {};
  Distribution values = {};
  int64_t parameters = 0;    // weights of the model in it: of packed ones more than elements
  std::string same_as = {};  // the tensor whose values it repeats; empty: it has its own

  int64_t elements() const;
  int64_t bytes() const { return elements() * ByteWidth(type); }
};

// In the order of the forward pass.
std::vector<TensorSpec> PlanTensors(const Architecture& architecture);

// The modules that an FP8 release keeps in bf16, as its config.json lists them.
std::vector<std::string> UnquantizedModules(const Architecture& architecture);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_MAKE_MODEL_TENSORS_H_
