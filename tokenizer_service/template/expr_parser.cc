#include "tokenizer_service/template/expr_parser.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/filters.h"
#include "tokenizer_service/template/value_tests.h"

namespace vallm::tokenizer {
namespace {

std::unique_ptr<ListExpr> NewList(ExprKind kind, uint32_t offset) {
  return std::make_unique<ListExpr>(kind, offset);
}

int HeightOf(const ExprPtr& expr) { return expr == nullptr ? 0 : expr->height; }

Value IntegerValue(std::string_view spelling) {
  int base = 10;
  if (spelling.size() > 2) {
    const char marker = absl::ascii_tolower(static_cast<unsigned char>(spelling[1]));
    base = marker == 'x' ? 16 : marker == 'o' ? 8 : marker == 'b' ? 2 : 10;
  }
  return Value::Int(BigInt::FromDigits(base == 10 ? spelling : spelling.substr(2), base));
}

bool IsReserved(std::string_view name) {
  return name == "true" || name == "True" || name == "false" || name == "False" || name == "none" ||
         name == "None";
}

bool IsAssignable(const Expr& expr) {
  if (expr.kind == ExprKind::kTuple) {
    const auto& items = static_cast<const ListExpr&>(expr).items;
    return std::all_of(items.begin(), items.end(),
                       [](const ExprPtr& item) { return IsAssignable(*item); });
  }
  return expr.kind == ExprKind::kName || expr.kind == ExprKind::kNamespaceRef;
}

}  // namespace

absl::Status ExprParser::Enter() {
  if (++depth_ <= limits_.max_parse_depth) return absl::OkStatus();
  return tokens_.Fail(
      absl::StrCat("template is nested more than ", limits_.max_parse_depth, " levels deep"));
}

absl::Status ExprParser::Lift(Expr* node, int child_height) const {
  node->height = std::max(node->height, child_height + 1);
  const int limit = 4 * limits_.max_parse_depth;
  if (node->height <= limit) return absl::OkStatus();
  return tokens_.FailAt(node->offset,
                        absl::StrCat("expression is more than ", limit, " levels high"));
}

absl::StatusOr<ExprPtr> ExprParser::Expression(bool with_conditional) {
  VALLM_RETURN_IF_ERROR(Enter());
  auto result = with_conditional ? Conditional() : Or();
  Leave();
  return result;
}

absl::StatusOr<ExprPtr> ExprParser::Tuple(bool with_conditional, std::string_view end_name) {
  auto tuple = NewList(ExprKind::kTuple, tokens_.offset());
  bool comma = false;
  while (true) {
    if (!tuple->items.empty()) VALLM_RETURN_IF_ERROR(tokens_.ExpectOp(","));
    if (tokens_.Is(TokenType::kVariableEnd) || tokens_.Is(TokenType::kBlockEnd) ||
        tokens_.IsOp(")") || (!end_name.empty() && tokens_.IsName(end_name))) {
      break;
    }
    VALLM_ASSIGN_OR_RETURN(ExprPtr item, Expression(with_conditional));
    VALLM_RETURN_IF_ERROR(Lift(tuple.get(), item->height));
    tuple->items.push_back(std::move(item));
    if (!tokens_.IsOp(",")) break;
    comma = true;
  }
  if (comma) return tuple;
  if (!tuple->items.empty()) return std::move(tuple->items[0]);
  return tokens_.Fail(absl::StrCat("expected an expression, got ", tokens_.Describe()));
}

absl::StatusOr<ExprPtr> ExprParser::Target(bool with_namespace, std::string_view end_name) {
  const uint32_t begin = tokens_.offset();
  auto tuple = NewList(ExprKind::kTuple, begin);
  bool comma = false;
  while (true) {
    if (!tuple->items.empty()) VALLM_RETURN_IF_ERROR(tokens_.ExpectOp(","));
    if (tokens_.Is(TokenType::kVariableEnd) || tokens_.Is(TokenType::kBlockEnd) ||
        tokens_.IsOp(")") || (!end_name.empty() && tokens_.IsName(end_name))) {
      break;
    }
    VALLM_ASSIGN_OR_RETURN(ExprPtr item, Primary(with_namespace));
    tuple->items.push_back(std::move(item));
    if (!tokens_.IsOp(",")) break;
    comma = true;
  }
  if (tuple->items.empty() && !comma) {
    return tokens_.Fail(absl::StrCat("expected a variable, got ", tokens_.Describe()));
  }
  ExprPtr target = comma ? ExprPtr(std::move(tuple)) : std::move(tuple->items[0]);
  if (!IsAssignable(*target)) return tokens_.FailAt(begin, "can't assign to this expression");
  return target;
}

absl::StatusOr<std::string> ExprParser::TargetName() {
  const uint32_t begin = tokens_.offset();
  VALLM_ASSIGN_OR_RETURN(std::string name, tokens_.TakeName());
  if (IsReserved(name)) return tokens_.FailAt(begin, absl::StrCat("can't assign to '", name, "'"));
  return name;
}

absl::StatusOr<ExprPtr> ExprParser::Conditional() {
  uint32_t begin = tokens_.offset();
  VALLM_ASSIGN_OR_RETURN(ExprPtr value, Or());
  while (tokens_.SkipName("if")) {
    auto node = NewList(ExprKind::kConditional, begin);
    VALLM_ASSIGN_OR_RETURN(ExprPtr test, Or());
    ExprPtr otherwise;
    if (tokens_.SkipName("else")) {
      VALLM_RETURN_IF_ERROR(Enter());
      VALLM_ASSIGN_OR_RETURN(otherwise, Conditional());
      Leave();
    }
    VALLM_RETURN_IF_ERROR(
        Lift(node.get(), std::max({HeightOf(value), HeightOf(test), HeightOf(otherwise)})));
    node->items.push_back(std::move(value));
    node->items.push_back(std::move(test));
    node->items.push_back(std::move(otherwise));
    value = std::move(node);
    begin = tokens_.offset();
  }
  return value;
}

absl::StatusOr<ExprPtr> ExprParser::Or() {
  VALLM_ASSIGN_OR_RETURN(ExprPtr left, And());
  if (!tokens_.IsName("or")) return left;
  auto node = NewList(ExprKind::kOr, left->offset);
  VALLM_RETURN_IF_ERROR(Lift(node.get(), left->height));
  node->items.push_back(std::move(left));
  while (tokens_.SkipName("or")) {
    VALLM_ASSIGN_OR_RETURN(ExprPtr right, And());
    VALLM_RETURN_IF_ERROR(Lift(node.get(), right->height));
    node->items.push_back(std::move(right));
  }
  return node;
}

absl::StatusOr<ExprPtr> ExprParser::And() {
  VALLM_ASSIGN_OR_RETURN(ExprPtr left, Not());
  if (!tokens_.IsName("and")) return left;
  auto node = NewList(ExprKind::kAnd, left->offset);
  VALLM_RETURN_IF_ERROR(Lift(node.get(), left->height));
  node->items.push_back(std::move(left));
  while (tokens_.SkipName("and")) {
    VALLM_ASSIGN_OR_RETURN(ExprPtr right, Not());
    VALLM_RETURN_IF_ERROR(Lift(node.get(), right->height));
    node->items.push_back(std::move(right));
  }
  return node;
}

absl::StatusOr<ExprPtr> ExprParser::Not() {
  if (!tokens_.IsName("not")) return Compare();
  auto node = NewList(ExprKind::kNot, tokens_.Take().offset);
  VALLM_RETURN_IF_ERROR(Enter());
  VALLM_ASSIGN_OR_RETURN(ExprPtr operand, Not());
  Leave();
  VALLM_RETURN_IF_ERROR(Lift(node.get(), operand->height));
  node->items.push_back(std::move(operand));
  return node;
}

absl::StatusOr<ExprPtr> ExprParser::Compare() {
  static constexpr std::pair<std::string_view, CompareOp> kOps[] = {
      {"==", CompareOp::kEq}, {"!=", CompareOp::kNe}, {"<", CompareOp::kLt},
      {"<=", CompareOp::kLe}, {">", CompareOp::kGt},  {">=", CompareOp::kGe}};
  VALLM_ASSIGN_OR_RETURN(ExprPtr first, Sum());
  auto node = std::make_unique<CompareExpr>(first->offset);
  while (true) {
    CompareOp op = CompareOp::kEq;
    const auto* found = std::find_if(std::begin(kOps), std::end(kOps), [this](const auto& entry) {
      return tokens_.IsOp(entry.first);
    });
    if (found != std::end(kOps)) {
      op = found->second;
      tokens_.Take();
    } else if (tokens_.SkipName("in")) {
      op = CompareOp::kIn;
    } else if (tokens_.IsName("not") && tokens_.NextIsName("in")) {
      tokens_.Take();
      tokens_.Take();
      op = CompareOp::kNotIn;
    } else {
      break;
    }
    VALLM_ASSIGN_OR_RETURN(ExprPtr operand, Sum());
    VALLM_RETURN_IF_ERROR(Lift(node.get(), operand->height));
    node->rest.emplace_back(op, std::move(operand));
  }
  if (node->rest.empty()) return first;
  VALLM_RETURN_IF_ERROR(Lift(node.get(), first->height));
  node->first = std::move(first);
  return node;
}

absl::StatusOr<ExprPtr> ExprParser::BinaryChain(
    Rule operand, std::vector<std::pair<std::string_view, BinaryOp>> ops) {
  VALLM_ASSIGN_OR_RETURN(ExprPtr left, (this->*operand)());
  while (true) {
    const auto found = std::find_if(
        ops.begin(), ops.end(), [this](const auto& entry) { return tokens_.IsOp(entry.first); });
    if (found == ops.end()) return left;
    auto node = std::make_unique<BinaryExpr>(tokens_.Take().offset, found->second);
    VALLM_ASSIGN_OR_RETURN(ExprPtr right, (this->*operand)());
    VALLM_RETURN_IF_ERROR(Lift(node.get(), std::max(left->height, right->height)));
    node->left = std::move(left);
    node->right = std::move(right);
    left = std::move(node);
  }
}

absl::StatusOr<ExprPtr> ExprParser::Sum() {
  return BinaryChain(&ExprParser::Concat, {{"+", BinaryOp::kAdd}, {"-", BinaryOp::kSub}});
}

absl::StatusOr<ExprPtr> ExprParser::Concat() {
  VALLM_ASSIGN_OR_RETURN(ExprPtr first, Product());
  if (!tokens_.IsOp("~")) return first;
  auto node = NewList(ExprKind::kConcat, first->offset);
  VALLM_RETURN_IF_ERROR(Lift(node.get(), first->height));
  node->items.push_back(std::move(first));
  while (tokens_.SkipOp("~")) {
    VALLM_ASSIGN_OR_RETURN(ExprPtr item, Product());
    VALLM_RETURN_IF_ERROR(Lift(node.get(), item->height));
    node->items.push_back(std::move(item));
  }
  return node;
}

absl::StatusOr<ExprPtr> ExprParser::Product() {
  return BinaryChain(&ExprParser::Power, {{"*", BinaryOp::kMul},
                                          {"/", BinaryOp::kDiv},
                                          {"//", BinaryOp::kFloorDiv},
                                          {"%", BinaryOp::kMod}});
}

absl::StatusOr<ExprPtr> ExprParser::Power() {
  return BinaryChain(&ExprParser::Unary, {{"**", BinaryOp::kPow}});
}

absl::StatusOr<ExprPtr> ExprParser::UnaryWith(bool with_filter) {
  ExprPtr node;
  if (tokens_.IsOp("-") || tokens_.IsOp("+")) {
    const Token& sign = tokens_.Take();
    auto signed_node = std::make_unique<SignExpr>(sign.offset, sign.text == "-");
    VALLM_RETURN_IF_ERROR(Enter());
    VALLM_ASSIGN_OR_RETURN(signed_node->operand, UnaryWith(/*with_filter=*/false));
    Leave();
    VALLM_RETURN_IF_ERROR(Lift(signed_node.get(), signed_node->operand->height));
    node = std::move(signed_node);
  } else {
    VALLM_ASSIGN_OR_RETURN(node, Primary(/*with_namespace=*/false));
  }
  VALLM_ASSIGN_OR_RETURN(node, Postfix(std::move(node)));
  return with_filter ? FiltersAndTests(std::move(node)) : std::move(node);
}

absl::StatusOr<ExprPtr> ExprParser::PrimaryName(bool with_namespace) {
  const Token& token = tokens_.Take();
  const std::string& name = token.text;
  if (name == "true" || name == "True") {
    return std::make_unique<ConstExpr>(token.offset, Value::Bool(true));
  }
  if (name == "false" || name == "False") {
    return std::make_unique<ConstExpr>(token.offset, Value::Bool(false));
  }
  if (name == "none" || name == "None") return std::make_unique<ConstExpr>(token.offset, Value());
  if (with_namespace && tokens_.SkipOp(".")) {
    VALLM_ASSIGN_OR_RETURN(std::string attribute, tokens_.TakeName());
    return std::make_unique<NamespaceRefExpr>(token.offset, Value::Str(name), std::move(attribute));
  }
  return std::make_unique<NameExpr>(token.offset, Value::Str(name));
}

absl::StatusOr<ExprPtr> ExprParser::Primary(bool with_namespace) {
  const uint32_t begin = tokens_.offset();
  switch (tokens_.current().type) {
    case TokenType::kName:
      return PrimaryName(with_namespace);
    case TokenType::kString: {
      std::string text;
      while (tokens_.Is(TokenType::kString)) text += tokens_.Take().text;
      return std::make_unique<ConstExpr>(begin, Value::Str(std::move(text)));
    }
    case TokenType::kInteger: {
      const Token& token = tokens_.Take();
      if (token.text.size() > BigInt::kMaxDigits) {
        return tokens_.FailAt(begin, absl::StrCat("integer has ", token.text.size(),
                                                  " digits; limit is ", BigInt::kMaxDigits));
      }
      return std::make_unique<ConstExpr>(begin, IntegerValue(token.text));
    }
    case TokenType::kFloat:
      return std::make_unique<ConstExpr>(
          begin, Value::Float(std::strtod(tokens_.Take().text.c_str(), nullptr)));
    default:
      break;
  }
  if (tokens_.IsOp("(")) return Bracketed();
  if (tokens_.IsOp("[")) return ListLiteral();
  if (tokens_.IsOp("{")) return DictLiteral();
  return tokens_.Fail(absl::StrCat("unexpected ", tokens_.Describe()));
}

absl::StatusOr<ExprPtr> ExprParser::Bracketed() {
  const uint32_t begin = tokens_.Take().offset;
  VALLM_RETURN_IF_ERROR(Enter());
  ExprPtr inner;
  if (tokens_.IsOp(")")) {
    inner = NewList(ExprKind::kTuple, begin);
  } else {
    VALLM_ASSIGN_OR_RETURN(inner, Tuple(/*with_conditional=*/true));
  }
  Leave();
  VALLM_RETURN_IF_ERROR(tokens_.ExpectOp(")"));
  return inner;
}

absl::StatusOr<ExprPtr> ExprParser::ListLiteral() {
  auto node = NewList(ExprKind::kList, tokens_.Take().offset);
  while (!tokens_.IsOp("]")) {
    if (!node->items.empty()) VALLM_RETURN_IF_ERROR(tokens_.ExpectOp(","));
    if (tokens_.IsOp("]")) break;
    VALLM_ASSIGN_OR_RETURN(ExprPtr item, Expression());
    VALLM_RETURN_IF_ERROR(Lift(node.get(), item->height));
    node->items.push_back(std::move(item));
  }
  VALLM_RETURN_IF_ERROR(tokens_.ExpectOp("]"));
  return node;
}

absl::StatusOr<ExprPtr> ExprParser::DictLiteral() {
  auto node = NewList(ExprKind::kDict, tokens_.Take().offset);
  while (!tokens_.IsOp("}")) {
    if (!node->items.empty()) VALLM_RETURN_IF_ERROR(tokens_.ExpectOp(","));
    if (tokens_.IsOp("}")) break;
    VALLM_ASSIGN_OR_RETURN(ExprPtr key, Expression());
    VALLM_RETURN_IF_ERROR(tokens_.ExpectOp(":"));
    VALLM_ASSIGN_OR_RETURN(ExprPtr value, Expression());
    VALLM_RETURN_IF_ERROR(Lift(node.get(), std::max(key->height, value->height)));
    node->items.push_back(std::move(key));
    node->items.push_back(std::move(value));
  }
  VALLM_RETURN_IF_ERROR(tokens_.ExpectOp("}"));
  return node;
}

absl::StatusOr<ExprPtr> ExprParser::Postfix(ExprPtr node) {
  while (true) {
    if (tokens_.IsOp(".")) {
      VALLM_ASSIGN_OR_RETURN(node, Dot(std::move(node)));
    } else if (tokens_.IsOp("[")) {
      VALLM_ASSIGN_OR_RETURN(node, Subscript(std::move(node)));
    } else if (tokens_.IsOp("(")) {
      VALLM_ASSIGN_OR_RETURN(node, Call(std::move(node)));
    } else {
      return node;
    }
  }
}

absl::StatusOr<ExprPtr> ExprParser::FiltersAndTests(ExprPtr node) {
  while (true) {
    if (tokens_.IsOp("|")) {
      VALLM_ASSIGN_OR_RETURN(node, Filters(std::move(node), /*started=*/false));
    } else if (tokens_.IsName("is")) {
      VALLM_ASSIGN_OR_RETURN(node, Test(std::move(node)));
    } else if (tokens_.IsOp("(")) {
      VALLM_ASSIGN_OR_RETURN(node, Call(std::move(node)));
    } else {
      return node;
    }
  }
}

absl::StatusOr<ExprPtr> ExprParser::Dot(ExprPtr object) {
  const uint32_t begin = tokens_.Take().offset;
  if (tokens_.Is(TokenType::kName)) {
    auto node = std::make_unique<AttributeExpr>(begin, Value::Str(tokens_.Take().text));
    VALLM_RETURN_IF_ERROR(Lift(node.get(), object->height));
    node->object = std::move(object);
    return node;
  }
  if (!tokens_.Is(TokenType::kInteger)) return tokens_.Fail("expected name or number");
  auto node = NewList(ExprKind::kItem, begin);
  VALLM_RETURN_IF_ERROR(Lift(node.get(), object->height));
  const Token& index = tokens_.Take();
  node->items.push_back(std::move(object));
  node->items.push_back(std::make_unique<ConstExpr>(index.offset, IntegerValue(index.text)));
  return node;
}

absl::StatusOr<bool> ExprParser::SubscriptItem(std::vector<ExprPtr>* items) {
  ExprPtr start;
  if (!tokens_.IsOp(":")) {
    VALLM_ASSIGN_OR_RETURN(start, Expression());
    if (!tokens_.IsOp(":")) {
      items->push_back(std::move(start));
      return false;
    }
  }
  tokens_.Take();
  ExprPtr bounds[2];
  for (int i = 0; i < 2; ++i) {
    if (i == 1 && !tokens_.SkipOp(":")) break;
    if (tokens_.IsOp(":") || tokens_.IsOp("]") || tokens_.IsOp(",")) continue;
    VALLM_ASSIGN_OR_RETURN(bounds[i], Expression());
  }
  items->push_back(std::move(start));
  items->push_back(std::move(bounds[0]));
  items->push_back(std::move(bounds[1]));
  return true;
}

absl::StatusOr<ExprPtr> ExprParser::Subscript(ExprPtr object) {
  const uint32_t begin = tokens_.Take().offset;
  std::vector<ExprPtr> subscripts;
  bool slice = false;
  int count = 0;
  while (!tokens_.IsOp("]")) {
    if (count > 0) VALLM_RETURN_IF_ERROR(tokens_.ExpectOp(","));
    VALLM_ASSIGN_OR_RETURN(const bool is_slice, SubscriptItem(&subscripts));
    slice = slice || is_slice;
    if (++count > 1 && slice) {
      return tokens_.FailAt(begin, "a slice cannot be part of a tuple of subscripts");
    }
  }
  VALLM_RETURN_IF_ERROR(tokens_.ExpectOp("]"));
  auto node = NewList(slice ? ExprKind::kSlice : ExprKind::kItem, begin);
  VALLM_RETURN_IF_ERROR(Lift(node.get(), object->height));
  node->items.push_back(std::move(object));
  if (slice || count == 1) {
    for (ExprPtr& item : subscripts) {
      VALLM_RETURN_IF_ERROR(Lift(node.get(), HeightOf(item)));
      node->items.push_back(std::move(item));
    }
    return node;
  }
  auto key = NewList(ExprKind::kTuple, begin);
  for (ExprPtr& item : subscripts) {
    VALLM_RETURN_IF_ERROR(Lift(key.get(), item->height));
    key->items.push_back(std::move(item));
  }
  VALLM_RETURN_IF_ERROR(Lift(node.get(), key->height));
  node->items.push_back(std::move(key));
  return node;
}

absl::StatusOr<ExprPtr> ExprParser::Call(ExprPtr callee) {
  auto node = std::make_unique<CallExpr>(tokens_.offset());
  int height = callee->height;
  VALLM_RETURN_IF_ERROR(CallArguments(&node->args, &height));
  VALLM_RETURN_IF_ERROR(Lift(node.get(), height));
  node->callee = std::move(callee);
  return node;
}

absl::Status ExprParser::OneArgument(Arguments* args, uint32_t open) {
  const auto fail = [this, open] {
    return tokens_.FailAt(open, "invalid syntax for function call expression");
  };
  const bool starred = args->star != nullptr || args->star_star != nullptr;
  if (tokens_.SkipOp("*")) {
    if (starred) return fail();
    VALLM_ASSIGN_OR_RETURN(args->star, Expression());
  } else if (tokens_.SkipOp("**")) {
    if (args->star_star != nullptr) return fail();
    VALLM_ASSIGN_OR_RETURN(args->star_star, Expression());
  } else if (tokens_.Is(TokenType::kName) && tokens_.NextIsOp("=")) {
    if (args->star_star != nullptr) return fail();
    std::string name = tokens_.Take().text;
    tokens_.Take();
    VALLM_ASSIGN_OR_RETURN(ExprPtr value, Expression());
    for (const auto& [other, unused] : args->keyword) {
      if (other == name) {
        return tokens_.FailAt(open, absl::StrCat("keyword argument repeated: ", name));
      }
    }
    args->keyword.emplace_back(std::move(name), std::move(value));
  } else {
    if (starred || !args->keyword.empty()) return fail();
    VALLM_ASSIGN_OR_RETURN(ExprPtr value, Expression());
    args->positional.push_back(std::move(value));
  }
  return absl::OkStatus();
}

absl::Status ExprParser::CallArguments(Arguments* args, int* height) {
  const uint32_t open = tokens_.offset();
  VALLM_RETURN_IF_ERROR(tokens_.ExpectOp("("));
  bool need_comma = false;
  while (!tokens_.IsOp(")")) {
    if (need_comma) {
      VALLM_RETURN_IF_ERROR(tokens_.ExpectOp(","));
      if (tokens_.IsOp(")")) break;
    }
    VALLM_RETURN_IF_ERROR(OneArgument(args, open));
    need_comma = true;
  }
  for (const ExprPtr& arg : args->positional) *height = std::max(*height, arg->height);
  for (const auto& [unused, arg] : args->keyword) *height = std::max(*height, arg->height);
  *height = std::max({*height, HeightOf(args->star), HeightOf(args->star_star)});
  return tokens_.ExpectOp(")");
}

absl::StatusOr<std::string> ExprParser::DottedName() {
  VALLM_ASSIGN_OR_RETURN(std::string name, tokens_.TakeName());
  while (tokens_.SkipOp(".")) {
    VALLM_ASSIGN_OR_RETURN(const std::string part, tokens_.TakeName());
    absl::StrAppend(&name, ".", part);
  }
  return name;
}

absl::StatusOr<ExprPtr> ExprParser::Filters(ExprPtr operand, bool started) {
  ExprPtr node = std::move(operand);
  while (started || tokens_.IsOp("|")) {
    if (!started) tokens_.Take();
    started = false;
    auto filter = std::make_unique<ApplyExpr>(ExprKind::kFilter, tokens_.offset());
    VALLM_ASSIGN_OR_RETURN(filter->name, DottedName());
    filter->builtin = FindFilter(filter->name);
    int height = HeightOf(node);
    if (tokens_.IsOp("(")) VALLM_RETURN_IF_ERROR(CallArguments(&filter->args, &height));
    VALLM_RETURN_IF_ERROR(Lift(filter.get(), height));
    filter->operand = std::move(node);
    node = std::move(filter);
  }
  return node;
}

absl::StatusOr<ExprPtr> ExprParser::Test(ExprPtr operand) {
  const uint32_t begin = tokens_.Take().offset;
  const bool negated = tokens_.SkipName("not");
  auto test = std::make_unique<ApplyExpr>(ExprKind::kTest, begin);
  VALLM_ASSIGN_OR_RETURN(test->name, DottedName());
  test->builtin = FindTest(test->name);
  int height = operand->height;
  const bool starts_operand = tokens_.Is(TokenType::kName) || tokens_.Is(TokenType::kString) ||
                              tokens_.Is(TokenType::kInteger) || tokens_.Is(TokenType::kFloat) ||
                              tokens_.IsOp("[") || tokens_.IsOp("{");
  if (tokens_.IsOp("(")) {
    VALLM_RETURN_IF_ERROR(CallArguments(&test->args, &height));
  } else if (starts_operand && !tokens_.IsName("else") && !tokens_.IsName("or") &&
             !tokens_.IsName("and")) {
    if (tokens_.IsName("is")) return tokens_.Fail("You cannot chain multiple tests with is");
    VALLM_ASSIGN_OR_RETURN(ExprPtr arg, Primary(/*with_namespace=*/false));
    VALLM_ASSIGN_OR_RETURN(arg, Postfix(std::move(arg)));
    height = std::max(height, arg->height);
    test->args.positional.push_back(std::move(arg));
  }
  VALLM_RETURN_IF_ERROR(Lift(test.get(), height));
  test->operand = std::move(operand);
  if (!negated) return test;
  auto node = NewList(ExprKind::kNot, begin);
  VALLM_RETURN_IF_ERROR(Lift(node.get(), test->height));
  node->items.push_back(std::move(test));
  return node;
}

}  // namespace vallm::tokenizer
