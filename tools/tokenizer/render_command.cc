#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/flags.h"
#include "common/mutex.h"
#include "common/status_macros.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/template/chat_template.h"
#include "tokenizer_service/template/model_template.h"
#include "tokenizer_service/template/render_template.h"
#include "tools/tokenizer/row_command.h"
#include "tools/tokenizer/tokenizer_command.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;
using tokenizer::ChatTemplate;

// The same moment on every run, so that output can be compared; the conformance files have it too.
constexpr char kDefaultNow[] = "2025-09-14 12:34:56";

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return text.str();
}

// Finds the template of a row and keeps what was parsed. Thread-safe.
class TemplateStore {
 public:
  TemplateStore(std::string model_dir, std::string template_file, std::string template_dir)
      : model_dir_(std::move(model_dir)),
        template_file_(std::move(template_file)),
        template_dir_(std::move(template_dir)) {}

  // A file of the template directory.
  absl::StatusOr<const ChatTemplate*> Named(const std::string& name) {
    if (template_dir_.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("'template' names ", name, ": give --template-dir"));
    }
    if (name.find('/') != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("'template' must be the name of a file in --template-dir, not ", name));
    }
    return Parsed(absl::StrCat(template_dir_, "/", name));
  }

  // --template, or the model's own for a request with or without tools.
  absl::StatusOr<const ChatTemplate*> Default(bool has_tools) {
    if (!template_file_.empty()) return Parsed(template_file_);
    if (model_dir_.empty()) {
      return absl::InvalidArgumentError(
          "the row names no template: give --model, --template or --template-dir");
    }
    MutexLock lock(mutex_);
    VALLM_RETURN_IF_ERROR(LoadModel());
    const ChatTemplate* chat = model_->ForRequest(has_tools);
    if (chat == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat(model_dir_, " has no chat template"));
    }
    return chat;
  }

  // The model's special tokens where it has them; else those of Qwen3, which the conformance files
  // assume.
  std::vector<std::pair<std::string, std::string>> SpecialTokens(bool model_template) {
    MutexLock lock(mutex_);
    if (model_template && model_.has_value()) return model_->special_tokens;
    return {{"eos_token", "<|im_end|>"}, {"pad_token", "<|endoftext|>"}};
  }

 private:
  absl::StatusOr<const ChatTemplate*> Parsed(const std::string& path) {
    MutexLock lock(mutex_);
    auto known = parsed_.find(path);
    if (known == parsed_.end()) {
      VALLM_ASSIGN_OR_RETURN(std::string source, ReadFile(path));
      VALLM_ASSIGN_OR_RETURN(auto chat, ChatTemplate::Parse(std::move(source)));
      known = parsed_.emplace(path, std::move(chat)).first;
    }
    return known->second.get();
  }

  absl::Status LoadModel() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (model_.has_value()) return absl::OkStatus();
    VALLM_ASSIGN_OR_RETURN(model_, tokenizer::LoadModelTemplates(model_dir_));
    return absl::OkStatus();
  }

  const std::string model_dir_;
  const std::string template_file_;
  const std::string template_dir_;
  Mutex mutex_;
  std::map<std::string, std::unique_ptr<const ChatTemplate>> parsed_ ABSL_GUARDED_BY(mutex_);
  std::optional<tokenizer::ModelTemplates> model_ ABSL_GUARDED_BY(mutex_);
};

// A conversation, as the chat template sees it: the messages are not normalised, and no generation
// prompt is added unless kwargs ask for it.
absl::StatusOr<std::string> RenderConversation(TemplateStore& templates, absl::Time now,
                                               const JsonRow& row) {
  const bool has_tools = row.Has("tools") && row.Raw("tools") != "[]";
  const ChatTemplate* chat = nullptr;
  if (row.Has("template")) {
    VALLM_ASSIGN_OR_RETURN(const std::string name, row.String("template"));
    VALLM_ASSIGN_OR_RETURN(chat, templates.Named(name));
  } else {
    VALLM_ASSIGN_OR_RETURN(chat, templates.Default(has_tools));
  }
  ChatTemplate::RenderInput input;
  input.messages_json = row.Raw("messages");
  input.tools_json = row.Raw("tools");
  input.kwargs_json = row.Raw("kwargs");
  input.add_generation_prompt = false;
  input.special_tokens = templates.SpecialTokens(/*model_template=*/!row.Has("template"));
  input.now = now;
  input.raw_messages = true;
  return chat->Render(input);
}

absl::StatusOr<std::string> RenderText(TemplateStore& templates, absl::Time now,
                                       const JsonRow& row) {
  if (!row.Has("context")) {
    if (!row.Has("messages")) {
      return absl::InvalidArgumentError("a row needs 'messages', or 'template' and 'context'");
    }
    return RenderConversation(templates, now, row);
  }
  VALLM_ASSIGN_OR_RETURN(const std::string source, row.String("template"));
  return tokenizer::RenderTemplate(source, row.Raw("context"), now);
}

absl::StatusOr<absl::Time> ParseNow(const std::string& text) {
  if (text == "now") return absl::Now();
  absl::Time time;
  std::string error;
  if (absl::ParseTime("%Y-%m-%d %H:%M:%S", text, absl::UTCTimeZone(), &time, &error)) return time;
  return absl::InvalidArgumentError(
      absl::StrCat("--now '", text, "' must be 'now' or like '", kDefaultNow, "'"));
}

absl::StatusOr<ordered_json> RenderRow(TemplateStore& templates, absl::Time now,
                                       const tokenizer::Tokenizer* tokenizer, const JsonRow& row) {
  VALLM_ASSIGN_OR_RETURN(std::string text, RenderText(templates, now, row));
  ordered_json out;
  if (tokenizer != nullptr) {
    VALLM_ASSIGN_OR_RETURN(auto ids, tokenizer->Encode(text));
    out["text"] = std::move(text);
    out["ids"] = std::move(ids);
  } else {
    out["text"] = std::move(text);
  }
  return out;
}

}  // namespace

int RunTokenizerRender(int argc, char** argv) {
  constexpr char kProgram[] = "vallm tokenizer render";
  std::string model_dir;
  std::string template_file;
  std::string template_dir;
  std::string now_text = kDefaultNow;
  FlagParser flags(
      kProgram,
      "Renders chat templates. In: {\"id\", \"messages\", \"tools\", \"kwargs\", \"template\" (a "
      "file of --template-dir; absent: --template or the model's)}, or {\"id\", \"template\" "
      "(source "
      "text), \"context\"}; out: {\"id\", \"text\", and \"ids\" with --model}.",
      "  vallm tokenizer render --model ./Qwen3-8B --template-dir templates < chat_cases.jsonl\n"
      "  vallm tokenizer render < jinja_cases.jsonl\n"
      "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"kwargs\": "
      "{\"add_generation_prompt\": true}}' | \\\n"
      "    vallm tokenizer render --template qwen3.jinja\n");
  CLI::App& app = flags.app();
  app.add_option("--model", model_dir, "Model directory (tokenizer.json, chat template)");
  app.add_option("--template", template_file, "Jinja file for rows that name no template");
  app.add_option("--template-dir", template_dir, "Directory of the templates that rows name");
  app.add_option("--now", now_text, "What strftime_now() shows (UTC); 'now': the clock")
      ->capture_default_str();
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  const auto now = ParseNow(now_text);
  if (!now.ok()) return FailCommand(kProgram, now.status());
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer;
  if (!model_dir.empty()) {
    auto loaded = tokenizer::Tokenizer::FromModelDir(model_dir);
    if (!loaded.ok()) return FailCommand(kProgram, loaded.status());
    tokenizer = *std::move(loaded);
  }
  TemplateStore templates(model_dir, template_file, template_dir);
  return AnswerStdin(kProgram, [&](const JsonRow& row) {
    return RenderRow(templates, *now, tokenizer.get(), row);
  });
}

}  // namespace vallm::tools
