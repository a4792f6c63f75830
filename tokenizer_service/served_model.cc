#include "tokenizer_service/served_model.h"

#include <glog/logging.h>

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "tokenizer_service/template_kwargs.h"

namespace vallm::tokenizer {
namespace {

// Whether a template would see tools. What is not JSON is left to the renderer to refuse.
bool HasTools(const std::string& tools_json) {
  if (tools_json.empty()) return false;
  const auto tools = nlohmann::json::parse(tools_json, nullptr, /*allow_exceptions=*/false);
  return tools.is_array() && !tools.empty();
}

// A template that writes or strips thoughts has the tag in its text.
bool KnowsThinking(const ChatTemplate& chat_template) {
  return chat_template.source().find("<think>") != std::string_view::npos;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const ServedModel>> ServedModel::Load(
    const ServedModelOptions& options) {
  VALLM_ASSIGN_OR_RETURN(ModelFiles files,
                         ReadModelFiles(options.model_dir, options.chat_template_path));
  files.default_kwargs_json = options.default_kwargs_json;
  return Create(files, options.prompt_cache_bytes);
}

absl::StatusOr<std::unique_ptr<const ServedModel>> ServedModel::Create(const ModelFiles& files,
                                                                       size_t prompt_cache_bytes) {
  VALLM_RETURN_IF_ERROR(
      CheckTemplateKwargs(files.default_kwargs_json, "the default template variables"));
  auto tokenizer = Tokenizer::FromJson(files.tokenizer_json);
  if (!tokenizer.ok()) {
    return absl::Status(
        tokenizer.status().code(),
        absl::StrCat(files.model_dir, "/tokenizer.json: ", tokenizer.status().message()));
  }
  VALLM_ASSIGN_OR_RETURN(ModelTemplates templates, ParseTemplates(files.templates));
  absl::TimeZone time_zone;
  if (!absl::LoadTimeZone(files.time_zone, &time_zone)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the time zone ", files.time_zone, " is not known here"));
  }
  auto model = std::unique_ptr<ServedModel>(new ServedModel(
      files, *std::move(tokenizer), std::move(templates), time_zone, prompt_cache_bytes));
  VALLM_RETURN_IF_ERROR(model->ProbeTemplate(files));
  return model;
}

ServedModel::ServedModel(const ModelFiles& files, std::unique_ptr<const Tokenizer> tokenizer,
                         ModelTemplates templates, absl::TimeZone time_zone,
                         size_t prompt_cache_bytes)
    : model_dir_(files.model_dir),
      default_kwargs_json_(files.default_kwargs_json),
      fingerprint_(Sha256Hex(files.tokenizer_json)),
      files_fingerprint_(FingerprintOf(files)),
      time_zone_(time_zone),
      tokenizer_(std::move(tokenizer)),
      prompt_encoder_(std::make_unique<PromptEncoder>(*tokenizer_, prompt_cache_bytes)),
      templates_(std::move(templates)) {}

absl::Status ServedModel::ProbeTemplate(const ModelFiles& files) const {
  if (!has_chat_template()) return absl::OkStatus();
  Conversation conversation;
  conversation.messages_json = R"([{"role":"user","content":"Hello"}])";
  const auto probe = [&](const std::string& default_kwargs_json) {
    return Render(conversation, default_kwargs_json, absl::Now(), absl::OkStatus).status();
  };
  const absl::Status status = probe(default_kwargs_json_);
  if (status.ok()) return status;
  const bool kwargs_break_it = !default_kwargs_json_.empty() && probe("").ok();
  const std::string message = absl::StrCat(
      "the chat template ", files.template_is_replaced ? "" : "of ", files.templates.origin,
      " cannot render a single user message",
      kwargs_break_it ? " with --default-chat-template-kwargs " + default_kwargs_json_ : "", ": ",
      status.message());
  if (kwargs_break_it || files.template_is_replaced) {
    return absl::InvalidArgumentError(message);
  }
  LOG(WARNING) << message;
  return absl::OkStatus();
}

absl::StatusOr<ServedModel::Prompt> ServedModel::RenderChat(const Conversation& conversation,
                                                            absl::Time now,
                                                            const Wanted& wanted) const {
  return Render(conversation, default_kwargs_json_, now, wanted);
}

absl::StatusOr<ServedModel::Prompt> ServedModel::Render(const Conversation& conversation,
                                                        const std::string& default_kwargs_json,
                                                        absl::Time now,
                                                        const Wanted& wanted) const {
  const ChatTemplate* chat_template = templates_.chat.get();
  std::unique_ptr<const ChatTemplate> own_template;
  if (!conversation.chat_template.empty()) {
    auto parsed = ChatTemplate::Parse(conversation.chat_template);
    if (!parsed.ok()) {
      return absl::Status(parsed.status().code(),
                          absl::StrCat("chat_template: ", parsed.status().message()));
    }
    own_template = *std::move(parsed);
    chat_template = own_template.get();
  } else if (templates_.tool_use != nullptr) {
    chat_template = templates_.ForRequest(HasTools(conversation.tools_json));
  }
  if (chat_template == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat(model_dir_, " has no chat template; give one with --chat-template"));
  }
  ChatTemplate::RenderInput input;
  input.messages_json = conversation.messages_json;
  input.tools_json = conversation.tools_json;
  VALLM_ASSIGN_OR_RETURN(input.kwargs_json,
                         MergeTemplateKwargs(default_kwargs_json, conversation.kwargs_json));
  input.add_generation_prompt = conversation.add_generation_prompt;
  input.continue_final_message = conversation.continue_final_message;
  input.special_tokens = templates_.special_tokens;
  input.now = now;
  input.time_zone = time_zone_;
  Prompt prompt;
  VALLM_ASSIGN_OR_RETURN(prompt.text, chat_template->Render(input));
  VALLM_RETURN_IF_ERROR(wanted());
  VALLM_ASSIGN_OR_RETURN(prompt.token_ids, prompt_encoder_->Encode(prompt.text));
  prompt.think_state = ThinkStateFromPrompt(prompt.token_ids, *tokenizer_);
  if (prompt.think_state == PromptThinkState::kNone && !KnowsThinking(*chat_template)) {
    prompt.think_state = PromptThinkState::kUnaware;
  }
  return prompt;
}

}  // namespace vallm::tokenizer
