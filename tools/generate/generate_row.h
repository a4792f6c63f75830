// One row of `vallm generate`: JSON to a request of the engine, and its answer
// to JSON.
#ifndef VALLM_TOOLS_GENERATE_GENERATE_ROW_H_
#define VALLM_TOOLS_GENERATE_GENERATE_ROW_H_

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/request.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/template/model_template.h"
#include "tools/jsonl/json_row.h"

namespace vallm::tools {

// What the rows of a model have in common. Immutable while rows are read;
// thread-safe.
class GenerateRows {
 public:
  // Loads the tokenizer and the chat template of `model_dir`, or the template
  // in `chat_template_path` when that is not empty. Without tokenizer.json,
  // rows must carry token ids and answers have no text. Errors: those of the
  // loaders; a directory without tokenizer.json is not one.
  static absl::StatusOr<GenerateRows> Load(const std::string& model_dir,
                                           const std::string& chat_template_path);

  // Errors: INVALID_ARGUMENT naming the member that is missing, malformed or
  // out of range.
  absl::StatusOr<engine::GenerationRequest> ToRequest(const JsonRow& row) const;

  // The members of the output row.
  nlohmann::ordered_json ToJson(const engine::Generation& generation) const;

 private:
  absl::StatusOr<std::vector<int32_t>> PromptIds(const JsonRow& row) const;
  absl::StatusOr<std::string> RenderMessages(const JsonRow& row) const;
  // The token sequences that the words of "bad_words" forbid.
  absl::StatusOr<std::vector<std::vector<int32_t>>> BadWords(const JsonRow& row) const;

  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;  // null: none
  tokenizer::ModelTemplates templates_;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_GENERATE_GENERATE_ROW_H_
