// A chat template (Jinja, with the semantics of Hugging Face transformers' environment) parsed once
// and rendered for many conversations.
//
//   VALLM_ASSIGN_OR_RETURN(auto chat, ChatTemplate::Parse(source));
//   ChatTemplate::RenderInput input;
//   input.messages_json = R"([{"role": "user", "content": "hi"}])";
//   input.special_tokens = {{"eos_token", "<|im_end|>"}};
//   input.now = absl::Now();
//   VALLM_ASSIGN_OR_RETURN(std::string prompt, chat->Render(input));
//
// Knows nothing of tokens or models: see model_template.h for where a model keeps its template.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_CHAT_TEMPLATE_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_CHAT_TEMPLATE_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tokenizer_service/template/limits.h"

namespace vallm::tokenizer {

class CompiledTemplate;

// Immutable and thread-safe: any number of threads may Render at once.
class ChatTemplate {
 public:
  struct RenderInput {
    // JSON array of messages. Key order and the difference of 1 and 1.0 are kept.
    std::string messages_json = {};
    // JSON array of tools; "" or "null": none (the variable `tools` is then None, but defined).
    std::string tools_json = {};
    // JSON object of further template variables (enable_thinking, ...); "" or "null": none.
    // "add_generation_prompt" and "continue_final_message" here override the fields below;
    // "messages" and "tools" are refused.
    std::string kwargs_json = {};
    // End the text with the header of the assistant's turn. Not together with the next.
    bool add_generation_prompt = true;
    // End the text right after the last message's own text, so that the model goes on with it.
    bool continue_final_message = false;
    // Variables of the model: bos_token, eos_token, pad_token, ... kwargs override them.
    std::vector<std::pair<std::string, std::string>> special_tokens = {};
    // What strftime_now() formats, in `time_zone`.
    absl::Time now = absl::UnixEpoch();
    absl::TimeZone time_zone = absl::UTCTimeZone();
    // Hand the messages to the template as they are, without NormalizeMessages (chat_messages.h).
    bool raw_messages = false;
  };

  // Errors: INVALID_ARGUMENT "template line L, column C: ..." for a syntax error.
  static absl::StatusOr<std::unique_ptr<const ChatTemplate>> Parse(std::string source,
                                                                   const Limits& limits = {});
  ~ChatTemplate();

  // The prompt text. Errors: INVALID_ARGUMENT for malformed JSON, messages that NormalizeMessages
  // refuses ("messages[i].field: ..."), add_generation_prompt with continue_final_message, a
  // template that raises or fails (with its line and column), and an exceeded limit.
  absl::StatusOr<std::string> Render(const RenderInput& input) const;

  // The text it was parsed from. Lives as long as *this.
  std::string_view source() const;

 private:
  explicit ChatTemplate(std::unique_ptr<const CompiledTemplate> compiled);
  bool PrintsArgumentTextAsItIs() const;

  std::unique_ptr<const CompiledTemplate> compiled_;
  // Whether tool calls whose arguments are text go to the template as they are. Otherwise it wants
  // objects: it would quote the text or fail.
  bool keeps_argument_text_ = true;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_CHAT_TEMPLATE_H_
