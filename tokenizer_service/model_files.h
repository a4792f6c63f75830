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
  // What strftime_now() goes by: a name of the IANA's, "UTC", or "localtime" where this machine's
  // has no name.
  std::string time_zone = "UTC";
};

// Reads `model_dir`, with this machine's time zone. `chat_template_path`: replaces the templates;
// empty: none. Errors: NOT_FOUND, and those of ReadTemplateTexts.
absl::StatusOr<ModelFiles> ReadModelFiles(const std::string& model_dir,
                                          const std::string& chat_template_path);

// SHA-256 in hex.
std::string Sha256Hex(std::string_view bytes);

// Of all that matters to what is served, the version of this program with it, and of where it is
// from: two with the same fingerprint give the same prompts and messages.
std::string FingerprintOf(const ModelFiles& files);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_MODEL_FILES_H_
