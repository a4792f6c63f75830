#include "tools/doctor/conversation_checks.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "engine_service/model/config.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/output/prompt_think_state.h"
#include "tokenizer_service/template/model_template.h"

namespace vallm::tools {
namespace {

using tokenizer::ChatTemplate;
using tokenizer::PromptThinkState;
using tokenizer::Tokenizer;

constexpr char kTools[] =
    R"([{"type":"function","function":{"name":"get_weather","description":"Weather of a city",)"
    R"("parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}])";

absl::StatusOr<std::string> Render(const tokenizer::ModelTemplates& templates,
                                   const std::string& tools, const std::string& kwargs) {
  ChatTemplate::RenderInput input;
  input.messages_json = R"([{"role":"user","content":"Hello"}])";
  input.tools_json = tools;
  input.kwargs_json = kwargs;
  input.special_tokens = templates.special_tokens;
  input.now = absl::Now();
  return templates.ForRequest(!tools.empty())->Render(input);
}

void CheckTokens(const ServeOptions& options, const Tokenizer& tokenizer, Findings& findings) {
  Finding finding{.check = "tokenizer", .detail = absl::StrCat(tokenizer.vocab_size(), " tokens")};
  const auto config = engine::LoadModelConfig(options.engine.model_dir);
  if (config.ok() && tokenizer.vocab_size() > config->vocab_size) {
    finding.verdict = Verdict::kFail;
    absl::StrAppend(&finding.detail, ", but the model's embedding has ", config->vocab_size,
                    " rows");
    finding.remedy = "tokenizer.json belongs to another model: download it again";
  } else if (config.ok()) {
    std::vector<std::string> ends;
    for (int32_t id : config->eos_token_ids) {
      ends.push_back(std::string(tokenizer.TokenBytes(id)));
    }
    if (ends.empty()) {
      finding.verdict = Verdict::kFail;
      finding.detail += "; neither generation_config.json nor config.json has an eos_token_id";
      finding.remedy = "without one no answer ends by itself: download the files again";
    } else {
      absl::StrAppend(&finding.detail, ", answers end with ", ends.front());
    }
  }
  findings.push_back(std::move(finding));
}

// What the template does about thoughts, read off prompts as requests are.
void CheckReasoning(const ServeOptions& options, const Tokenizer& tokenizer,
                    const tokenizer::ModelTemplates& templates, const std::string& prompt,
                    Findings& findings) {
  const bool knows = absl::StrContains(ToAbsl(templates.chat->source()), "<think>");
  PromptThinkState state = PromptThinkState::kUnaware;
  if (const auto ids = tokenizer.Encode(prompt); ids.ok()) {
    state = tokenizer::ThinkStateFromPrompt(*ids, tokenizer);
    if (state == PromptThinkState::kNone && !knows) state = PromptThinkState::kUnaware;
  }
  const auto off = Render(templates, "", R"({"enable_thinking": false})");
  const bool switchable = off.ok() && *off != prompt;
  Finding finding{.check = "reasoning"};
  switch (state) {
    case PromptThinkState::kOpen:
      finding.detail = "every answer begins inside <think>";
      break;
    case PromptThinkState::kClosed:
      finding.detail = "the template switches thinking off";
      break;
    case PromptThinkState::kNone:
      finding.detail = "the model thinks unless told otherwise";
      break;
    case PromptThinkState::kUnaware:
      finding.detail = "the template knows no thoughts";
      break;
  }
  absl::StrAppend(&finding.detail, switchable ? ", enable_thinking switches it" : "", "; parser ",
                  options.enable_reasoning ? options.reasoning_parser : "off");
  const bool thinks = state == PromptThinkState::kOpen || state == PromptThinkState::kNone;
  if (!options.enable_reasoning && thinks) {
    finding.verdict = Verdict::kWarn;
    finding.remedy =
        "thoughts come as part of the answer: --enable-reasoning --reasoning-parser "
        "qwen3, or a template that does not think";
  }
  findings.push_back(std::move(finding));
}

void CheckTools(const ServeOptions& options, const tokenizer::ModelTemplates& templates,
                Findings& findings) {
  Finding finding{.check = "tool calls"};
  const auto prompt = Render(templates, kTools, "");
  const bool shows = prompt.ok() && absl::StrContains(*prompt, "get_weather");
  const bool coder = prompt.ok() && absl::StrContains(*prompt, "<function=");
  if (!options.enable_auto_tool_choice) {
    finding.detail = "off";
  } else if (!prompt.ok()) {
    finding.verdict = Verdict::kFail;
    finding.detail = std::string(prompt.status().message());
    finding.remedy =
        "the template fails with tools: give another --chat-template, or "
        "--no-enable-auto-tool-choice";
  } else if (!shows) {
    finding.verdict = Verdict::kWarn;
    finding.detail = "the template does not show the model its tools";
    finding.remedy =
        "requests with tools are answered as if they had none: give a "
        "--chat-template that knows `tools`";
  } else if (coder != (options.tool_call_parser == "qwen3_coder")) {
    finding.verdict = Verdict::kFail;
    finding.detail = absl::StrCat("the template asks for calls in the form of ",
                                  coder ? "qwen3_coder" : "hermes", ", the parser is ",
                                  options.tool_call_parser);
    finding.remedy = absl::StrCat("--tool-call-parser ", coder ? "qwen3_coder" : "hermes");
  } else {
    finding.detail = absl::StrCat("parser ", options.tool_call_parser);
  }
  findings.push_back(std::move(finding));
}

}  // namespace

void CheckConversation(const ServeOptions& options, Findings& findings) {
  const auto tokenizer = Tokenizer::FromModelDir(options.engine.model_dir);
  if (!tokenizer.ok()) {
    findings.push_back(Failure("tokenizer", tokenizer.status(),
                               "download tokenizer.json again; docs/models.md says which run"));
    return;
  }
  CheckTokens(options, **tokenizer, findings);
  const auto templates =
      tokenizer::LoadModelTemplates(options.engine.model_dir, options.chat_template);
  if (!templates.ok()) {
    findings.push_back(Failure("chat template", templates.status(),
                               "correct it, or give another one with --chat-template"));
    return;
  }
  if (templates->chat == nullptr) {
    findings.push_back({.check = "chat template",
                        .verdict = Verdict::kFail,
                        .detail = "the model has none: only completions would work",
                        .remedy = "give one with --chat-template"});
    return;
  }
  const auto prompt = Render(*templates, "", options.default_chat_template_kwargs);
  if (!prompt.ok()) {
    findings.push_back(Failure("chat template", prompt.status(),
                               "it cannot render one message of a user: give another one with "
                               "--chat-template, or correct --default-chat-template-kwargs"));
    return;
  }
  findings.push_back(
      {.check = "chat template",
       .detail = options.chat_template.empty() ? "the model's own" : options.chat_template});
  CheckReasoning(options, **tokenizer, *templates, *prompt, findings);
  CheckTools(options, *templates, findings);
}

}  // namespace vallm::tools
