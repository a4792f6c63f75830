#include "tokenizer_service/template/ast.h"

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "tokenizer_service/template/repr.h"

namespace vallm::tokenizer {
namespace {

constexpr const char* kBinary[] = {"+", "-", "*", "/", "//", "%", "**"};
constexpr const char* kCompare[] = {"==", "!=", "<", "<=", ">", ">=", "in", "not in"};

std::string DumpAll(const std::vector<ExprPtr>& items) {
  std::string out;
  for (const ExprPtr& item : items) {
    absl::StrAppend(&out, " ", item == nullptr ? "_" : Dump(*item));
  }
  return out;
}

std::string DumpArguments(const Arguments& args) {
  std::string out = DumpAll(args.positional);
  for (const auto& [name, value] : args.keyword)
    absl::StrAppend(&out, " ", name, "=", Dump(*value));
  if (args.star != nullptr) absl::StrAppend(&out, " *", Dump(*args.star));
  if (args.star_star != nullptr) absl::StrAppend(&out, " **", Dump(*args.star_star));
  return out;
}

std::string DumpList(const char* head, const Expr& expr) {
  return absl::StrCat("(", head, DumpAll(static_cast<const ListExpr&>(expr).items), ")");
}

std::string DumpCompare(const CompareExpr& expr) {
  std::string out = absl::StrCat("(", Dump(*expr.first));
  for (const auto& [op, operand] : expr.rest) {
    absl::StrAppend(&out, " ", kCompare[static_cast<int>(op)], " ", Dump(*operand));
  }
  return out + ")";
}

}  // namespace

std::string Dump(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kConst:
      return Repr(static_cast<const ConstExpr&>(expr).value);
    case ExprKind::kName:
      return std::string(static_cast<const NameExpr&>(expr).name.text());
    case ExprKind::kNamespaceRef: {
      const auto& ref = static_cast<const NamespaceRefExpr&>(expr);
      return absl::StrCat(ToAbsl(ref.name.text()), ".", ref.attribute);
    }
    case ExprKind::kTuple:
      return DumpList("tuple", expr);
    case ExprKind::kList:
      return DumpList("list", expr);
    case ExprKind::kDict:
      return DumpList("dict", expr);
    case ExprKind::kConditional:
      return DumpList("if", expr);
    case ExprKind::kAnd:
      return DumpList("and", expr);
    case ExprKind::kOr:
      return DumpList("or", expr);
    case ExprKind::kNot:
      return DumpList("not", expr);
    case ExprKind::kConcat:
      return DumpList("~", expr);
    case ExprKind::kItem:
      return DumpList("item", expr);
    case ExprKind::kSlice:
      return DumpList("slice", expr);
    case ExprKind::kBinary: {
      const auto& node = static_cast<const BinaryExpr&>(expr);
      return absl::StrCat("(", kBinary[static_cast<int>(node.op)], " ", Dump(*node.left), " ",
                          Dump(*node.right), ")");
    }
    case ExprKind::kSign: {
      const auto& node = static_cast<const SignExpr&>(expr);
      return absl::StrCat(node.negative ? "(neg " : "(pos ", Dump(*node.operand), ")");
    }
    case ExprKind::kCompare:
      return DumpCompare(static_cast<const CompareExpr&>(expr));
    case ExprKind::kAttribute: {
      const auto& node = static_cast<const AttributeExpr&>(expr);
      return absl::StrCat("(. ", Dump(*node.object), " ", ToAbsl(node.name.text()), ")");
    }
    case ExprKind::kCall: {
      const auto& node = static_cast<const CallExpr&>(expr);
      return absl::StrCat("(call ", Dump(*node.callee), DumpArguments(node.args), ")");
    }
    case ExprKind::kFilter:
    case ExprKind::kTest: {
      const auto& node = static_cast<const ApplyExpr&>(expr);
      return absl::StrCat("(", expr.kind == ExprKind::kFilter ? "|" : "is ", node.name, " ",
                          node.operand == nullptr ? "_" : Dump(*node.operand),
                          DumpArguments(node.args), ")");
    }
  }
  return "?";
}

}  // namespace vallm::tokenizer
