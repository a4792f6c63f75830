// Stage 1: template text to tokens, with Jinja2's white-space rules (trim_blocks, lstrip_blocks, -
// and
// + marks) applied to the text between tags.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_LEXER_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_LEXER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/source.h"

namespace vallm::tokenizer {

enum class TokenType {
  kData,           // text between tags
  kVariableBegin,  // {{
  kVariableEnd,    // }}
  kBlockBegin,     // {%
  kBlockEnd,       // %}
  kName,
  kString,    // text: the value, escapes resolved
  kInteger,   // text: the spelling, underscores removed
  kFloat,     // likewise
  kOperator,  // text: the operator or bracket
  kEnd,
};

struct Token {
  TokenType type = TokenType::kEnd;
  std::string text;
  uint32_t offset = 0;  // into Source::text()
};

// The last token is kEnd. Errors: INVALID_ARGUMENT with line and column.
absl::StatusOr<std::vector<Token>> Tokenize(const Source& source);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_LEXER_H_
