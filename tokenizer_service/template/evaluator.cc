// The expression half of the interpreter.
#include <utility>

#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/attributes.h"
#include "tokenizer_service/template/interpreter.h"
#include "tokenizer_service/template/markup.h"
#include "tokenizer_service/template/methods.h"
#include "tokenizer_service/template/names.h"
#include "tokenizer_service/template/operators.h"
#include "tokenizer_service/template/repr.h"

namespace vallm::tokenizer {

absl::StatusOr<Value> Interpreter::Eval(const Expr& expr) {
  if (expr.kind == ExprKind::kConst) return static_cast<const ConstExpr&>(expr).value;
  absl::Status status = runtime_.Charge(1);
  if (status.ok() && ++eval_depth_ > runtime_.limits().max_eval_depth) {
    status = TemplateError("template is nested more than ", runtime_.limits().max_eval_depth,
                           " levels deep at work");
  }
  absl::StatusOr<Value> result = status.ok() ? DispatchExpr(expr) : std::move(status);
  --eval_depth_;
  if (!result.ok()) return source_.Locate(result.status(), expr.offset);
  return result;
}

absl::StatusOr<Value> Interpreter::DispatchExpr(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kConst:
      return static_cast<const ConstExpr&>(expr).value;
    case ExprKind::kName:
      return EvalName(static_cast<const NameExpr&>(expr));
    case ExprKind::kNamespaceRef:
      break;  // only ever a target
    case ExprKind::kTuple:
    case ExprKind::kList:
      return EvalSequence(static_cast<const ListExpr&>(expr));
    case ExprKind::kDict:
      return EvalDict(static_cast<const ListExpr&>(expr));
    case ExprKind::kConditional:
      return EvalConditional(static_cast<const ListExpr&>(expr));
    case ExprKind::kBinary:
      return EvalBinary(static_cast<const BinaryExpr&>(expr));
    case ExprKind::kAnd:
      return EvalLogic(static_cast<const ListExpr&>(expr), /*stop_at=*/false);
    case ExprKind::kOr:
      return EvalLogic(static_cast<const ListExpr&>(expr), /*stop_at=*/true);
    case ExprKind::kNot:
      return EvalNot(static_cast<const ListExpr&>(expr));
    case ExprKind::kSign:
      return EvalSign(static_cast<const SignExpr&>(expr));
    case ExprKind::kCompare:
      return EvalCompare(static_cast<const CompareExpr&>(expr));
    case ExprKind::kConcat:
      return EvalConcat(static_cast<const ListExpr&>(expr));
    case ExprKind::kAttribute:
      return EvalAttribute(static_cast<const AttributeExpr&>(expr));
    case ExprKind::kItem:
      return EvalItem(static_cast<const ListExpr&>(expr));
    case ExprKind::kSlice:
      return EvalSlice(static_cast<const ListExpr&>(expr));
    case ExprKind::kCall:
      return EvalCall(static_cast<const CallExpr&>(expr), /*caller=*/nullptr);
    case ExprKind::kFilter:
    case ExprKind::kTest:
      return EvalApply(static_cast<const ApplyExpr&>(expr));
  }
  return TemplateError("cannot evaluate an assignment target");
}

Value Interpreter::EvalName(const NameExpr& expr) {
  const Value& value = Slot(expr.ref);
  return value.is_missing() ? Value::UndefinedName(expr.name) : value;
}

absl::StatusOr<Value> Interpreter::EvalSequence(const ListExpr& expr) {
  std::vector<Value> items;
  items.reserve(expr.items.size());
  for (const ExprPtr& item : expr.items) {
    VALLM_ASSIGN_OR_RETURN(Value value, Eval(*item));
    items.push_back(std::move(value));
  }
  return expr.kind == ExprKind::kList ? runtime_.MakeList(std::move(items))
                                      : runtime_.MakeTuple(std::move(items));
}

absl::StatusOr<Value> Interpreter::EvalDict(const ListExpr& expr) {
  auto dict = std::make_unique<DictCell>();
  for (size_t i = 0; i + 1 < expr.items.size(); i += 2) {
    VALLM_ASSIGN_OR_RETURN(const Value key, Eval(*expr.items[i]));
    VALLM_ASSIGN_OR_RETURN(Value value, Eval(*expr.items[i + 1]));
    VALLM_RETURN_IF_ERROR(runtime_.CheckKey(key));
    dict->Set(key, std::move(value));
  }
  return runtime_.MakeDict(std::move(dict));
}

absl::StatusOr<Value> Interpreter::EvalConditional(const ListExpr& expr) {
  VALLM_ASSIGN_OR_RETURN(const Value test, Eval(*expr.items[1]));
  if (test.Truthy()) return Eval(*expr.items[0]);
  if (expr.items[2] != nullptr) return Eval(*expr.items[2]);
  return Value::UndefinedHint(
      "the inline if-expression evaluated to false and no else section was defined");
}

absl::StatusOr<Value> Interpreter::EvalBinary(const BinaryExpr& expr) {
  VALLM_ASSIGN_OR_RETURN(const Value left, Eval(*expr.left));
  VALLM_ASSIGN_OR_RETURN(const Value right, Eval(*expr.right));
  return ApplyBinary(runtime_, expr.op, left, right);
}

absl::StatusOr<Value> Interpreter::EvalLogic(const ListExpr& expr, bool stop_at) {
  for (size_t i = 0; i + 1 < expr.items.size(); ++i) {
    VALLM_ASSIGN_OR_RETURN(Value value, Eval(*expr.items[i]));
    if (value.Truthy() == stop_at) return value;
  }
  return Eval(*expr.items.back());
}

absl::StatusOr<Value> Interpreter::EvalNot(const ListExpr& expr) {
  VALLM_ASSIGN_OR_RETURN(const Value value, Eval(*expr.items[0]));
  return Value::Bool(!value.Truthy());
}

absl::StatusOr<Value> Interpreter::EvalSign(const SignExpr& expr) {
  VALLM_ASSIGN_OR_RETURN(const Value value, Eval(*expr.operand));
  return ApplySign(runtime_, expr.negative, value);
}

absl::StatusOr<Value> Interpreter::EvalCompare(const CompareExpr& expr) {
  VALLM_ASSIGN_OR_RETURN(Value left, Eval(*expr.first));
  for (const auto& [op, operand] : expr.rest) {
    VALLM_ASSIGN_OR_RETURN(Value right, Eval(*operand));
    VALLM_ASSIGN_OR_RETURN(const bool holds, ApplyCompare(runtime_, op, left, right));
    if (!holds) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

absl::StatusOr<Value> Interpreter::EvalConcat(const ListExpr& expr) {
  std::string text;
  for (const ExprPtr& item : expr.items) {
    VALLM_ASSIGN_OR_RETURN(const Value value, Eval(*item));
    if (autoescape_ && value.is_str()) {
      text += EscapeUnlessMarkup(value);
    } else {
      AppendStr(value, runtime_.limits().max_string_bytes, &text);
    }
    VALLM_RETURN_IF_ERROR(runtime_.CheckStringSize(static_cast<double>(text.size())));
  }
  return runtime_.MakeStr(std::move(text), autoescape_);
}

absl::StatusOr<Value> Interpreter::EvalAttribute(const AttributeExpr& expr) {
  VALLM_ASSIGN_OR_RETURN(const Value object, Eval(*expr.object));
  return GetAttr(runtime_, object, expr.name);
}

absl::StatusOr<Value> Interpreter::EvalItem(const ListExpr& expr) {
  VALLM_ASSIGN_OR_RETURN(const Value object, Eval(*expr.items[0]));
  VALLM_ASSIGN_OR_RETURN(const Value key, Eval(*expr.items[1]));
  return GetItem(runtime_, object, key);
}

absl::StatusOr<Value> Interpreter::EvalOrNone(const ExprPtr& expr) {
  if (expr == nullptr) return Value();
  return Eval(*expr);
}

absl::StatusOr<Value> Interpreter::EvalSlice(const ListExpr& expr) {
  VALLM_ASSIGN_OR_RETURN(const Value object, Eval(*expr.items[0]));
  VALLM_ASSIGN_OR_RETURN(const Value start, EvalOrNone(expr.items[1]));
  VALLM_ASSIGN_OR_RETURN(const Value stop, EvalOrNone(expr.items[2]));
  VALLM_ASSIGN_OR_RETURN(const Value step, EvalOrNone(expr.items[3]));
  return Slice(runtime_, object, start, stop, step);
}

absl::Status Interpreter::EvalArguments(const Arguments& args, CallArgs* out) {
  for (const ExprPtr& arg : args.positional) {
    VALLM_ASSIGN_OR_RETURN(Value value, Eval(*arg));
    out->positional.push_back(std::move(value));
  }
  for (const auto& [name, arg] : args.keyword) {
    VALLM_ASSIGN_OR_RETURN(Value value, Eval(*arg));
    out->keyword.emplace_back(name, std::move(value));
  }
  if (args.star != nullptr) {
    VALLM_ASSIGN_OR_RETURN(const Value star, Eval(*args.star));
    VALLM_ASSIGN_OR_RETURN(const Value items, runtime_.Iterate(star));
    VALLM_RETURN_IF_ERROR(runtime_.Charge(static_cast<int64_t>(items.items().size())));
    for (const Value& item : items.items()) out->positional.push_back(item);
  }
  if (args.star_star == nullptr) return absl::OkStatus();
  VALLM_ASSIGN_OR_RETURN(const Value rest, Eval(*args.star_star));
  if (!rest.is_dict()) {
    return TemplateError("argument after ** must be a mapping, not ", ToAbsl(rest.TypeName()));
  }
  VALLM_RETURN_IF_ERROR(runtime_.Charge(static_cast<int64_t>(rest.dict().size())));
  for (const auto& [key, value] : rest.dict().entries()) {
    if (!key.is_str()) return TemplateError("keywords must be strings");
    for (const auto& [name, arg] : args.keyword) {
      if (name == key.text()) {
        return TemplateError("got multiple values for keyword argument '", name, "'");
      }
    }
    out->keyword.emplace_back(std::string(key.text()), value);
  }
  return absl::OkStatus();
}

absl::StatusOr<Value> Interpreter::EvalCall(const CallExpr& expr, const Value* caller) {
  CallArgs args;
  const Builtin* method = nullptr;
  Value callee;
  // object.method(...) without making a value of the bound method.
  if (expr.callee->kind == ExprKind::kAttribute) {
    const auto& attribute = static_cast<const AttributeExpr&>(*expr.callee);
    VALLM_ASSIGN_OR_RETURN(Value object, Eval(*attribute.object));
    method = object.is_undefined() ? nullptr : FindMethod(object, attribute.name.text());
    if (method != nullptr) {
      args.positional.push_back(std::move(object));
    } else {
      VALLM_ASSIGN_OR_RETURN(callee, GetAttr(runtime_, object, attribute.name));
    }
  } else {
    VALLM_ASSIGN_OR_RETURN(callee, Eval(*expr.callee));
  }
  VALLM_RETURN_IF_ERROR(EvalArguments(expr.args, &args));
  if (caller != nullptr) args.keyword.emplace_back("caller", *caller);
  if (method != nullptr) return CallBuiltin(runtime_, *method, std::move(args));
  return runtime_.Call(callee, std::move(args));
}

absl::StatusOr<Value> Interpreter::EvalApply(const ApplyExpr& expr) {
  if (expr.builtin == nullptr) return UnknownBuiltin(expr);
  CallArgs args;
  if (expr.operand == nullptr) {
    args.positional.push_back(captured_);
  } else {
    VALLM_ASSIGN_OR_RETURN(Value operand, Eval(*expr.operand));
    args.positional.push_back(std::move(operand));
  }
  VALLM_RETURN_IF_ERROR(EvalArguments(expr.args, &args));
  return CallBuiltin(runtime_, *expr.builtin, std::move(args));
}

}  // namespace vallm::tokenizer
