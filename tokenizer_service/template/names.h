// Walks over the names in a syntax tree. Internal to the resolver.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_NAMES_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_NAMES_H_

#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "tokenizer_service/template/ast.h"

namespace vallm::tokenizer {

// Calls `visit` for each direct child that is not null, in the order Jinja2 visits them.
void VisitChildren(Expr& expr, const std::function<void(ExprPtr&)>& visit);
// Calls `visit` with each variable `expr` reads.
void VisitNames(const Expr& expr, const std::function<void(const Value&)>& visit);
// Calls `visit` with each kName and kNamespaceRef of an assignment target.
void VisitTargets(const Expr& target, const std::function<void(const Expr&)>& visit);

// Does `body` read the variable `name` before it assigns it, in the order of the text? Macros and
// loops inside count; blocks do not.
bool UsesUndeclared(const StmtList& body, std::string_view name);
// Is there a {% block name scoped %} at any depth?
bool HasScopedBlock(const StmtList& body);

// The error for a filter or test that does not exist.
absl::Status UnknownBuiltin(const ApplyExpr& expr);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_NAMES_H_
