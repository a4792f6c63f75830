// Stage 2: tokens to a syntax tree, by Jinja2's grammar (with loop controls and generation blocks).
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_PARSER_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_PARSER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/ast.h"
#include "tokenizer_service/template/lexer.h"
#include "tokenizer_service/template/limits.h"
#include "tokenizer_service/template/source.h"

namespace vallm::tokenizer {

// Variables are not resolved yet. `tokens` come from Tokenize(source). Errors: INVALID_ARGUMENT
// with line and column.
absl::StatusOr<TemplateAst> ParseTemplate(const Source& source, std::vector<Token> tokens,
                                          const Limits& limits);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_PARSER_H_
