// config.json and generation_config.json of an architecture, as its release writes them.
#ifndef VALLM_TOOLS_MAKE_MODEL_CONFIG_FILES_H_
#define VALLM_TOOLS_MAKE_MODEL_CONFIG_FILES_H_

#include <cstdint>
#include <string>

#include "tools/make_model/architecture.h"

namespace vallm::tools {

// The tokens that the configuration names.
struct SpecialTokenIds {
  int32_t end_of_text = 0;  // "<|endoftext|>": padding, and ends a text
  int32_t end_of_turn = 0;  // "<|im_end|>"
};

std::string ConfigJson(const Architecture& architecture, const SpecialTokenIds& tokens);
std::string GenerationConfigJson(const Architecture& architecture, const SpecialTokenIds& tokens);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_MAKE_MODEL_CONFIG_FILES_H_
