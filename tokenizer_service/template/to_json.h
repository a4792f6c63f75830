// Values to JSON text, as Python's json.dumps writes it.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_TO_JSON_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_TO_JSON_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/runtime.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

struct JsonOptions {
  bool ascii = false;                 // escape everything beyond ASCII
  std::optional<std::string> indent;  // of one level; unset: everything on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};

// Errors: INVALID_ARGUMENT for a value JSON has no form for, keys that do not sort, or too much
// text.
absl::StatusOr<std::string> DumpJson(Runtime& runtime, const Value& value,
                                     const JsonOptions& options);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_TO_JSON_H_
