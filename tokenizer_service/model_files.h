// What a tokenizer service is made of: texts that are read from a model directory, or come from
// another tokenizer service.
#ifndef VALLM_TOKENIZER_SERVICE_MODEL_FILES_H_
#define VALLM_TOKENIZER_SERVICE_MODEL_FILES_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/model_template.h"

namespace vallm::tokenizer {

struct ModelFiles {
  std::string model_dir;  // where they are from
  std::string tokenizer_json = {};
  TemplateTexts templates = {};
  bool template_is_replaced = false;  // by a file that is not the model's own
  // JSON object of template variables that requests may override; empty: none.
  std::string default_kwargs_json;
};

// SHA-256 in hex.
std::string Sha256Hex(std::string_view bytes);

// Of `model_dir`/tokenizer.json. Errors: NOT_FOUND.
absl::StatusOr<std::string> ReadTokenizerJson(const std::string& model_dir);

// Of all that matters to what is served, and of where it is from: two with the same fingerprint
// give the same prompts and messages.
std::string FingerprintOf(const ModelFiles& files);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_MODEL_FILES_H_
