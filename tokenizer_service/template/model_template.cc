#include "tokenizer_service/template/model_template.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/json_value.h"

namespace vallm::tokenizer {
namespace {

namespace fs = std::filesystem;

// nullopt: there is no such file.
absl::StatusOr<std::optional<std::string>> ReadIfPresent(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file && !file.eof()) {
    return absl::InvalidArgumentError(absl::StrCat("cannot read ", path.string()));
  }
  return text;
}

absl::StatusOr<std::unique_ptr<const ChatTemplate>> ParseNamed(const std::string& text,
                                                               const std::string& origin) {
  auto parsed = ChatTemplate::Parse(text);
  if (parsed.ok()) return parsed;
  return absl::Status(parsed.status().code(),
                      absl::StrCat(origin, ": ", parsed.status().message()));
}

// Special tokens are text, or AddedToken objects that hold it.
void AddSpecialToken(const std::string& name, const Value& value, TemplateTexts* out) {
  const Value* text = value.is_dict() ? value.dict().Find("content") : &value;
  if (text == nullptr || !text->is_str()) return;
  out->special_tokens.emplace_back(name, std::string(text->text()));
}

absl::Status ReadConfiguredTemplate(const Value& configured, const std::string& origin,
                                    TemplateTexts* texts) {
  if (configured.is_none()) return absl::OkStatus();
  if (configured.is_str()) {
    texts->chat = std::string(configured.text());
    return absl::OkStatus();
  }
  if (configured.kind() != Value::Kind::kList) {
    return absl::InvalidArgumentError(
        absl::StrCat(origin, ": chat_template must be a string or an array of named templates"));
  }
  for (const Value& entry : configured.items()) {
    const Value* name = entry.is_dict() ? entry.dict().Find("name") : nullptr;
    const Value* text = entry.is_dict() ? entry.dict().Find("template") : nullptr;
    if (name == nullptr || !name->is_str() || text == nullptr || !text->is_str()) {
      return absl::InvalidArgumentError(
          absl::StrCat(origin, ": each entry of chat_template needs a name and a template"));
    }
    if (name->text() == "default") texts->chat = std::string(text->text());
    if (name->text() == "tool_use") texts->tool_use = std::string(text->text());
  }
  return absl::OkStatus();
}

absl::Status ReadTokenizerConfig(const fs::path& path, TemplateTexts* texts) {
  VALLM_ASSIGN_OR_RETURN(const auto json, ReadIfPresent(path));
  if (!json) return absl::OkStatus();
  VALLM_ASSIGN_OR_RETURN(const Value config, ParseJson(*json, path.string()));
  if (!config.is_dict()) {
    return absl::InvalidArgumentError(absl::StrCat(path.string(), ": must be a JSON object"));
  }
  for (const auto& [key, value] : config.dict().entries()) {
    const std::string name(key.text());
    const bool is_token = name.size() > 6 && name.compare(name.size() - 6, 6, "_token") == 0;
    if (is_token) AddSpecialToken(name, value, texts);
  }
  const Value* configured = config.dict().Find("chat_template");
  if (configured == nullptr) return absl::OkStatus();
  return ReadConfiguredTemplate(*configured, path.string(), texts);
}

}  // namespace

const ChatTemplate* ModelTemplates::ForRequest(bool has_tools) const {
  return has_tools && tool_use != nullptr ? tool_use.get() : chat.get();
}

absl::StatusOr<TemplateTexts> ReadTemplateTexts(const std::string& model_dir,
                                                const std::string& chat_template_path) {
  std::error_code error;
  const fs::path dir(model_dir);
  if (!fs::is_directory(dir, error)) {
    return absl::NotFoundError(absl::StrCat("model directory ", model_dir, " does not exist"));
  }
  TemplateTexts texts;
  texts.origin = model_dir;
  VALLM_RETURN_IF_ERROR(ReadTokenizerConfig(dir / "tokenizer_config.json", &texts));
  if (chat_template_path.empty()) {
    VALLM_ASSIGN_OR_RETURN(auto chat, ReadIfPresent(dir / "chat_template.jinja"));
    if (chat) texts.chat = std::move(chat);
    VALLM_ASSIGN_OR_RETURN(auto tool_use,
                           ReadIfPresent(dir / "additional_chat_templates" / "tool_use.jinja"));
    if (tool_use) texts.tool_use = std::move(tool_use);
  } else {
    texts.origin = chat_template_path;
    texts.tool_use = std::nullopt;
    VALLM_ASSIGN_OR_RETURN(texts.chat, ReadIfPresent(chat_template_path));
    if (!texts.chat) {
      return absl::NotFoundError(
          absl::StrCat("chat template ", chat_template_path, " does not exist"));
    }
  }
  return texts;
}

absl::StatusOr<ModelTemplates> ParseTemplates(const TemplateTexts& texts) {
  ModelTemplates templates;
  templates.special_tokens = texts.special_tokens;
  if (texts.chat) {
    VALLM_ASSIGN_OR_RETURN(templates.chat, ParseNamed(*texts.chat, texts.origin));
  }
  if (texts.tool_use) {
    VALLM_ASSIGN_OR_RETURN(templates.tool_use, ParseNamed(*texts.tool_use, texts.origin));
  }
  return templates;
}

absl::StatusOr<ModelTemplates> LoadModelTemplates(const std::string& model_dir,
                                                  const std::string& chat_template_path) {
  VALLM_ASSIGN_OR_RETURN(const TemplateTexts texts,
                         ReadTemplateTexts(model_dir, chat_template_path));
  return ParseTemplates(texts);
}

}  // namespace vallm::tokenizer
