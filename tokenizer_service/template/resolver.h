// Stage 3: binds every name of a template to a variable slot, by Jinja2's scoping rules.
//
// Jinja2 compiles a template to Python functions, and its rules are those of that translation: each
// loop body, with, macro, call, filter and set block is a scope; a name that a scope assigns is its
// own variable, starting as a copy of the outer one; a name nothing assigned is fetched from the
// context when the scope is entered; macros see the variables of the scopes around them as they are
// when called. Frames (one per function call) hold the slots of all scopes of a function.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_RESOLVER_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_RESOLVER_H_

#include "absl/status/status.h"
#include "tokenizer_service/template/ast.h"
#include "tokenizer_service/template/source.h"

namespace vallm::tokenizer {

// Fills in the slots of `ast`. Errors: INVALID_ARGUMENT with line and column for an unknown filter
// or test that is not guarded by a condition, and for a macro parameter `caller` without default.
absl::Status ResolveVariables(const Source& source, TemplateAst* ast);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_RESOLVER_H_
