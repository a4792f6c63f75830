// Where a model directory keeps its chat template and the special tokens that templates refer to.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_MODEL_TEMPLATE_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_MODEL_TEMPLATE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/chat_template.h"

namespace vallm::tokenizer {

// The texts that a model's templates are made of.
struct TemplateTexts {
  std::optional<std::string> chat;      // absent: the model has no chat template
  std::optional<std::string> tool_use;  // of requests that carry tools; absent: `chat`
  // bos_token, eos_token, pad_token, ... of tokenizer_config.json: RenderInput::special_tokens.
  std::vector<std::pair<std::string, std::string>> special_tokens;
  std::string origin;  // the directory or the file, for messages
};

struct ModelTemplates {
  // Null: the model has no chat template.
  std::unique_ptr<const ChatTemplate> chat;
  // A model may name a second template for requests that carry tools; null: use `chat`.
  std::unique_ptr<const ChatTemplate> tool_use;
  std::vector<std::pair<std::string, std::string>> special_tokens;  // as in TemplateTexts

  // The template of a request with or without tools. Null: none.
  const ChatTemplate* ForRequest(bool has_tools) const;
};

// Reads `model_dir`: tokenizer_config.json (chat_template as text or as a list of named templates,
// special tokens as text or as AddedToken objects; the file may be absent), chat_template.jinja and
// additional_chat_templates/tool_use.jinja beside it (which win). `chat_template_path`, when not
// empty, is a file that replaces them all (--chat-template).
// Errors: NOT_FOUND for an absent directory or chat_template_path; INVALID_ARGUMENT, naming the
// file, for malformed JSON.
absl::StatusOr<TemplateTexts> ReadTemplateTexts(const std::string& model_dir,
                                                const std::string& chat_template_path = "");

// Errors: INVALID_ARGUMENT, naming the origin, for a template that does not parse.
absl::StatusOr<ModelTemplates> ParseTemplates(const TemplateTexts& texts);

// Both in one. Errors: those of both.
absl::StatusOr<ModelTemplates> LoadModelTemplates(const std::string& model_dir,
                                                  const std::string& chat_template_path = "");

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_MODEL_TEMPLATE_H_
