// Angles of the rotary position embedding, plain or YaRN, as transformers computes them.
#ifndef VALLM_ENGINE_SERVICE_MODEL_ROPE_H_
#define VALLM_ENGINE_SERVICE_MODEL_ROPE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "engine_service/model/config.h"

namespace vallm::engine {

class Rope {
 public:
  explicit Rope(const ModelConfig& config);

  // Angle per position of each dimension pair: [head_dim / 2].
  const std::vector<float>& inverse_frequencies() const { return inverse_frequencies_; }

  // out: [head_dim], first the cosines then the sines of position * inverse frequency, both times
  // the attention factor. The product is rounded to f32 before the cosine, as the models were
  // trained; the cosine itself is taken in double.
  void CosSin(int32_t position, std::span<float> out) const;

 private:
  std::vector<float> inverse_frequencies_;
  double attention_factor_ = 1;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_ROPE_H_
