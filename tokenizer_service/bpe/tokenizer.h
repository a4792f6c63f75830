// The byte-level BPE tokenizer of a Qwen2/Qwen3 model directory: text to token ids, and ids to the
// bytes they stand for. It reproduces Hugging Face tokenizers id for id.
//
// Not here: chat templates, turning a stream of ids back into text (tokenizer_service/output).
//
// A Tokenizer is immutable after loading and may be used by any number of threads at once.
//
//   VALLM_ASSIGN_OR_RETURN(auto tokenizer, Tokenizer::FromModelDir(model_dir));
//   VALLM_ASSIGN_OR_RETURN(std::vector<int32_t> ids, tokenizer->Encode("Hello"));
#ifndef VALLM_TOKENIZER_SERVICE_BPE_TOKENIZER_H_
#define VALLM_TOKENIZER_SERVICE_BPE_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/bpe/token_table.h"

namespace vallm::tokenizer {

struct EncodeOptions {
  // Whether added tokens ("<|im_start|>", "<think>", ...) found in the text become their own ids.
  // When false the text is plain: "<|im_start|>" is encoded as the characters it consists of.
  bool parse_special_tokens = true;
  // Whether the text is a plain segment that Split found: then only the added tokens that are
  // looked for after normalisation can be in it. Needs parse_special_tokens.
  bool is_segment = false;
};

class Tokenizer final : public TokenTable {
 public:
  // Reads `dir`/tokenizer.json.
  // Errors: NOT_FOUND if the file cannot be read; else those of FromJson, with the path in front.
  static absl::StatusOr<std::unique_ptr<const Tokenizer>> FromModelDir(const std::string& dir);

  // Loads the text of a tokenizer.json.
  // Errors: INVALID_ARGUMENT if it is not JSON or is malformed; UNIMPLEMENTED if a part of it asks
  // for behaviour this class does not have. Both name the field.
  static absl::StatusOr<std::unique_ptr<const Tokenizer>> FromJson(std::string_view tokenizer_json);

  ~Tokenizer() override;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // The ids of `text`; nothing is added at either end. Time grows as n log n at worst.
  // Errors: INVALID_ARGUMENT if `text` is not UTF-8, with the offset of the first invalid byte.
  absl::StatusOr<std::vector<int32_t>> Encode(std::string_view text,
                                              const EncodeOptions& options = {}) const;

  // A part of a text: an added token, or plain text, which is encoded independently of what stands
  // around it.
  struct Segment {
    std::string_view text;     // plain text, never empty; empty for an added token
    int32_t added_token = -1;  // its id, or -1 for plain text
  };

  // Cuts `text` at the added tokens that are looked for before normalisation, with the white space
  // that they take along. Encode(text) is each segment's id or Encode(segment.text, {.is_segment =
  // true}), one after the other. The segments point into `text`. Errors: those of Encode.
  absl::StatusOr<std::vector<Segment>> Split(std::string_view text) const;

  std::string_view TokenBytes(int32_t id) const override;
  bool IsSpecial(int32_t id) const override;
  std::optional<int32_t> TokenId(std::string_view content) const override;

  // Whether `id` is an added token, special or not.
  bool IsAdded(int32_t id) const;

  // The highest id plus one. The embedding of the model may have more rows than this.
  int32_t vocab_size() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);

  std::unique_ptr<const Impl> impl_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_TOKENIZER_H_
