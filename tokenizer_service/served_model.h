// What the tokenizer service serves: the tokenizer and the chat template of one model directory.
// Holds no state of requests and knows nothing of RPCs.
//
// Immutable after loading but for its cache of encoded text; thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_SERVED_MODEL_H_
#define VALLM_TOKENIZER_SERVICE_SERVED_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/model_files.h"
#include "tokenizer_service/output/prompt_think_state.h"
#include "tokenizer_service/prompt_encoder.h"
#include "tokenizer_service/template/model_template.h"

namespace vallm::tokenizer {

struct ServedModelOptions {
  std::string model_dir;
  // Replaces the model's own template; empty: none.
  std::string chat_template_path = {};
  // JSON object of template variables that requests may override; empty: none.
  std::string default_kwargs_json = {};
  // Bytes that encoded parts of prompts may take, to be used again (prompt_encoder.h); 0: none.
  size_t prompt_cache_bytes = size_t{64} << 20;
};

class ServedModel {
 public:
  // Errors: those of Tokenizer::FromJson and LoadModelTemplates; INVALID_ARGUMENT if the default
  // variables are not a JSON object, or if a template or variables given by the options cannot
  // render a plain user message.
  static absl::StatusOr<std::unique_ptr<const ServedModel>> Load(const ServedModelOptions& options);
  // The same of files that are at hand. Errors: those of Load but for files; INVALID_ARGUMENT also
  // for a time zone that this machine does not know.
  static absl::StatusOr<std::unique_ptr<const ServedModel>> Create(const ModelFiles& files,
                                                                   size_t prompt_cache_bytes);

  const std::string& model_dir() const { return model_dir_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  bool has_chat_template() const { return templates_.chat != nullptr; }
  // SHA-256 of tokenizer.json, in hex.
  const std::string& fingerprint() const { return fingerprint_; }
  // FingerprintOf the files.
  const std::string& files_fingerprint() const { return files_fingerprint_; }

  struct Conversation {
    std::string messages_json;
    std::string tools_json;          // empty: none
    std::string kwargs_json;         // empty: none
    std::string chat_template = {};  // Jinja source instead of the model's template; empty: that
    bool add_generation_prompt = true;
    bool continue_final_message = false;
  };
  struct Prompt {
    std::string text;
    std::vector<int32_t> token_ids;
    PromptThinkState think_state = PromptThinkState::kNone;
  };

  // Whether the prompt is still wanted; an error ends the work.
  using Wanted = std::function<absl::Status()>;

  // Renders and encodes. `now` is what the template's strftime_now() formats. `wanted` is asked
  // between the two. Errors: FAILED_PRECONDITION if neither model nor conversation has a template;
  // INVALID_ARGUMENT for what the conversation or the template does wrong; those of `wanted`.
  absl::StatusOr<Prompt> RenderChat(const Conversation& conversation, absl::Time now,
                                    const Wanted& wanted) const;

 private:
  ServedModel(const ModelFiles& files, std::unique_ptr<const Tokenizer> tokenizer,
              ModelTemplates templates, absl::TimeZone time_zone, size_t prompt_cache_bytes);
  absl::StatusOr<Prompt> Render(const Conversation& conversation,
                                const std::string& default_kwargs_json, absl::Time now,
                                const Wanted& wanted) const;
  // Renders one plain message, so that a template that can render nothing is found before requests
  // are. A model's own template may have its reasons to refuse it: that is only logged. What
  // replaces it, and the default variables, must work.
  absl::Status ProbeTemplate(const ModelFiles& files) const;

  const std::string model_dir_;
  const std::string default_kwargs_json_;
  const std::string fingerprint_;
  const std::string files_fingerprint_;
  const absl::TimeZone time_zone_;
  const std::unique_ptr<const Tokenizer> tokenizer_;
  const std::unique_ptr<PromptEncoder> prompt_encoder_;
  const ModelTemplates templates_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_SERVED_MODEL_H_
