// The expression half of the parser. Internal to it.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_EXPR_PARSER_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_EXPR_PARSER_H_

#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/ast.h"
#include "tokenizer_service/template/limits.h"
#include "tokenizer_service/template/token_stream.h"

namespace vallm::tokenizer {

class ExprParser {
 public:
  // Both must outlive the parser.
  ExprParser(TokenStream& tokens, const Limits& limits) : tokens_(tokens), limits_(limits) {}

  absl::StatusOr<ExprPtr> Expression(bool with_conditional = true);
  // An expression, or a tuple without brackets. `end_name`: a name that ends it after a comma.
  absl::StatusOr<ExprPtr> Tuple(bool with_conditional, std::string_view end_name = "");
  // What `set`, `for` and `with` bind: names, tuples of targets, and (with_namespace) ns.attribute.
  absl::StatusOr<ExprPtr> Target(bool with_namespace, std::string_view end_name = "");
  // A name to bind. Errors: INVALID_ARGUMENT for true, false, none.
  absl::StatusOr<std::string> TargetName();
  // `| name(args) | ...` applied to `operand` (null: to what a block prints). `started`: the first
  // | is absent.
  absl::StatusOr<ExprPtr> Filters(ExprPtr operand, bool started);

  // Counts open brackets and statements. Errors: INVALID_ARGUMENT beyond max_parse_depth.
  absl::Status Enter();
  void Leave() { --depth_; }

 private:
  using Rule = absl::StatusOr<ExprPtr> (ExprParser::*)();

  absl::StatusOr<ExprPtr> Conditional();
  absl::StatusOr<ExprPtr> Or();
  absl::StatusOr<ExprPtr> And();
  absl::StatusOr<ExprPtr> Not();
  absl::StatusOr<ExprPtr> Compare();
  absl::StatusOr<ExprPtr> Sum();
  absl::StatusOr<ExprPtr> Concat();
  absl::StatusOr<ExprPtr> Product();
  absl::StatusOr<ExprPtr> Power();
  absl::StatusOr<ExprPtr> Unary() { return UnaryWith(/*with_filter=*/true); }
  absl::StatusOr<ExprPtr> UnaryWith(bool with_filter);
  absl::StatusOr<ExprPtr> Primary(bool with_namespace);
  absl::StatusOr<ExprPtr> PrimaryName(bool with_namespace);
  absl::StatusOr<ExprPtr> Bracketed();
  absl::StatusOr<ExprPtr> ListLiteral();
  absl::StatusOr<ExprPtr> DictLiteral();
  absl::StatusOr<ExprPtr> Postfix(ExprPtr node);
  absl::StatusOr<ExprPtr> FiltersAndTests(ExprPtr node);
  absl::StatusOr<ExprPtr> Dot(ExprPtr object);
  absl::StatusOr<ExprPtr> Subscript(ExprPtr object);
  // Appends one subscript to `items`: an expression, or true and start, stop, step of a slice.
  absl::StatusOr<bool> SubscriptItem(std::vector<ExprPtr>* items);
  absl::StatusOr<ExprPtr> Call(ExprPtr callee);
  absl::StatusOr<ExprPtr> Test(ExprPtr operand);
  absl::Status CallArguments(Arguments* args, int* height);
  absl::Status OneArgument(Arguments* args, uint32_t open);
  absl::StatusOr<std::string> DottedName();
  // A chain of left-associative operators over `operand`.
  absl::StatusOr<ExprPtr> BinaryChain(Rule operand,
                                      std::vector<std::pair<std::string_view, BinaryOp>> ops);
  // Takes `child` into the height of `node`. Errors: INVALID_ARGUMENT beyond the limit.
  absl::Status Lift(Expr* node, int child_height) const;

  TokenStream& tokens_;
  const Limits& limits_;
  int depth_ = 0;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_EXPR_PARSER_H_
