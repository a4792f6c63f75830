#include "tools/deploy/base_manifests.h"

#include "tools/deploy/base_data.h"

namespace vallm::tools {

std::map<std::string, std::string> BaseManifests() {
  return {{"engine.yaml", {base_data::kEngine, base_data::kEngineSize}},
          {"gateway.config.yaml", {base_data::kGatewayConfig, base_data::kGatewayConfigSize}},
          {"gateway.yaml", {base_data::kGateway, base_data::kGatewaySize}},
          {"kustomization.yaml", {base_data::kKustomization, base_data::kKustomizationSize}},
          {"tokenizer.yaml", {base_data::kTokenizer, base_data::kTokenizerSize}}};
}

}  // namespace vallm::tools
